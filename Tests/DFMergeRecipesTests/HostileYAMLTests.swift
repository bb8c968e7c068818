import DFMergeCore
import DFMergeRecipes
import Testing

/// Texts that are meant to do harm: every one ends in an error, soon, and with little memory.
@Suite struct HostileYAMLTests {
  private func failure(_ text: String) -> String {
    do throws(DFMergeError) {
      _ = try MergeRecipe.parse(Array(text.utf8), file: "hostile.yml")
      return "was read"
    } catch {
      return error.message
    }
  }

  /// Ten levels of nine aliases each are three and a half thousand million values.
  private func bomb(levels: Int) -> String {
    var text = "a0: &a0 x\n"
    for level in 1...levels {
      let aliases = Array(repeating: "*a\(level - 1)", count: 9).joined(separator: ", ")
      text += "a\(level): &a\(level) [\(aliases)]\n"
    }
    return text
  }

  @Test func aliasesOfAliases() {
    #expect(failure(bomb(levels: 10)).contains("aliases (*name) expand to too much"))
    // As a key, which the parser compares as a whole.
    #expect(failure(bomb(levels: 10) + "? *a10\n: 1\n").contains("expand to too much"))
    // The anchor that counts, hidden behind one in a text.
    let hidden = bomb(levels: 10).replacing("&a5 [", with: "&a5 ['&a5', ")
    #expect(failure(hidden).contains("expand to too much"))
    // Many anchors of one name and many uses: counted in one pass.
    let many = String(repeating: "[&a x, &a x, &a x, *a]\n", count: 40_000)
    #expect(failure("- " + many).contains("hostile.yml:"))
  }

  @Test func aFewLevelsAreNoBomb() {
    // Written out, they are values like others, and refused for what they are.
    #expect(failure(bomb(levels: 3) + "merge_method: linear").contains("there is no key 'a0'"))
  }

  @Test(arguments: ["[", "{a: ", "- ", "? ", "- [", "!!seq [", "&a ["])
  func nesting(_ open: String) {
    let message = failure(String(repeating: open, count: 20_000))
    #expect(message.hasPrefix("hostile.yml:"), "\(message)")
    #expect(
      failure("a: " + String(repeating: "[", count: 90) + String(repeating: "]", count: 90))
        .contains("nested more than 64 levels"))
  }

  @Test func size() {
    #expect(failure(String(repeating: "# comment\n", count: 200_000)).contains("at most 1048576"))
    let values = "a: [" + String(repeating: "1,", count: 150_000) + "1]"
    #expect(failure(values).contains("more than 100000 values"))
    let text = "merge_method: " + String(repeating: "x", count: 500_000)
    #expect(failure(text).count < 2_000_000)
    let documents = String(repeating: "---\na: 1\n", count: 40_000)
    #expect(failure(documents).contains("there is no key 'a'"))
  }

  @Test(arguments: [
    "a: \"\\ud800\"", "\u{0}", "a: \u{7}", "%YAML 9.9\n---\na", "%TAG ! x\n--- !<!>\n", "*a",
    "? [a]\n: b",
    "a: *missing", "<<: 3\nmerge_method: x", "\u{FEFF}", "@", "`", "'", "\"", "|", ">9", "--- ---",
    "...",
    "!!binary a: b", "a: &a [*a]", "&a *a",
  ])
  func oddities(_ text: String) {
    let message = failure(text)
    #expect(message.hasPrefix("hostile.yml"), "\(message)")
  }

  @Test func bytesThatAreNoText() {
    do throws(DFMergeError) {
      _ = try MergeRecipe.parse([0x61, 0xff, 0xfe], file: "hostile.yml")
      Issue.record("was read")
    } catch {
      #expect(error.message.contains("not UTF-8"))
    }
  }

  /// Every way of cutting a real configuration, and every single byte changed.
  @Test func damagedConfigurations() {
    let good = """
      models:
        - model: &m a
          parameters: {weight: [{filter: mlp, value: [0, 1]}, {value: 1}]}
        - model: b
          parameters: {weight: *m}
      merge_method: linear
      """
    let bytes = Array(good.utf8)
    for end in 0..<bytes.count { _ = try? MergeRecipe.parse(Array(bytes[..<end]), file: "c.yml") }
    for index in bytes.indices {
      for replacement in "\n:-[{&*!|\"'#%".utf8 {
        var changed = bytes
        changed[index] = replacement
        _ = try? MergeRecipe.parse(changed, file: "c.yml")
      }
    }
  }
}
