import ArgumentParser
import DFMergeCore
import DFMergeRecipes

@main
struct DFMergeTool: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "dfmerge", version: DFMergeVersion.string)
  @Argument var file: String
  func run() throws {
    do throws(DFMergeError) {
    let r = try MergeRecipe.read(file)
    for s in r.steps { print(try s.json.text()) }
    for n in r.notes { print(n) }
    } catch { print(error) }
  }
}
