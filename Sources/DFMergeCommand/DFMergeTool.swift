import ArgumentParser
import DFMergeCore

/// The program `dfmerge`: everything that the library does with files, from a shell.
///
/// Exit statuses: 0 done; 1 not done, with the reason on standard error; 64 a command line that
/// says nothing sensible; 128 plus the signal's number where one ended it (130 for Ctrl-C).
@main
struct DFMergeTool: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dfmerge",
    abstract: "Merge several fine-tunes of one pretrained network into one network.",
    discussion: """
      Weights are .safetensors files, Hugging Face folders, or owner/name of a model that \
      'hf download' has put into the Hugging Face cache. Results are complete, or what was there \
      before.

      Exit status: 0 done, 1 not done, 64 wrong usage, 130 stopped by Ctrl-C.
      """,
    version: DFMergeVersion.string,
    subcommands: [
      MergeCommand.self, PlanCommand.self, MethodsCommand.self, InspectCommand.self,
      DiffCommand.self, SearchCommand.self,
    ])
}
