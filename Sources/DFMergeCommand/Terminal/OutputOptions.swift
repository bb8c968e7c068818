import ArgumentParser

/// How a command says what it does.
struct OutputOptions: ParsableArguments {
  @Flag(help: "Print one JSON document on standard output instead of text.")
  var json = false

  @Flag(name: .shortAndLong, help: "No progress and no notes on standard error.")
  var quiet = false
}
