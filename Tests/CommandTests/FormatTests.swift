import Foundation
import TestSupport
import Testing

/// Reports for programs: each is read back by one that did not write it.
@Suite(.enabled(if: pythonHas("jsonschema"), "python3-jsonschema is not installed")) struct FormatTests {
  /// A right object, one without a table, one that cannot be read, one with a call that stays, and names that need care.
  private func tree() async throws -> Scratch {
    let scratch = try Scratch()
    try FileManager.default.createDirectory(atPath: scratch.file("tree"), withIntermediateDirectories: true)
    try await scratch.make(Sample.direct, "tree/bad.o")
    try await scratch.make(Sample.direct, "tree/good.o")
    try #require(await staticcall(["annotate", "tree/good.o"], scratch).status == 0)
    try await scratch.make(
      "caller: CALL __SCT__a\nmov __SCT__a@GOTPCREL(%rip), %rbx\ntest %edi, %edi\nje 1f\n1: call *%rbx\nret",
      "tree/left.o")
    let bad = try bytes(of: scratch.file("tree/bad.o"))
    try scratch.write(bad.prefix(100), to: "tree/cut.o")
    for name in ["a & b <c> \"d\".o", "50%,x:y.o", "\u{e4}\n::error::.o", "tab\t.o"] {
      try scratch.write(bad, to: "tree/\(name)")
    }
    return scratch
  }

  private func report(_ format: String, in scratch: Scratch) async throws -> (path: String, text: String) {
    let run = try await staticcall(["verify", "--format", format, "tree"], scratch)
    #expect(run.status == 2)
    #expect(run.errors.hasPrefix("tree/cut.o: error: truncated ELF file"), "\(run.errors)")
    return (try scratch.write(run.output.utf8, to: "report.\(format)"), run.output)
  }

  private func expectValid(_ document: String, _ schema: String) async throws {
    let validation = try await run(
      python, ["\(packageRoot)/Scripts/validate-json.py", "\(packageRoot)/Schemas/\(schema).schema.json", document])
    #expect((validation.status, validation.output) == (0, ""), "\(validation.errors)")
  }

  /// What each document says, counted by a program that did not write it: findings by code.
  private func findings(_ program: String, _ document: String) async throws -> [String] {
    let text = try await require(python, ["-c", program, document])
    return text.split(separator: "\n").map(String.init).sorted()
  }

  /// Eleven findings: two in each of five objects without a table, and what stays in another.
  private func expected(in scratch: Scratch) async throws -> [String] {
    let text = try await staticcall(["verify", "tree"], scratch).output
    return text.matches(of: /\[(SC\d+)\]/).map { String($0.output.1) }.sorted()
  }

  @Test func jsonFollowsItsSchema() async throws {
    let scratch = try await tree()
    let report = try await report("json", in: scratch)
    try await expectValid(report.path, "verify")
    let program = """
      import json, sys
      for subject in json.load(open(sys.argv[1]))["subjects"]:
          for finding in subject["findings"]:
              if subject["checked"]: print(finding["code"])
      """
    let found = try await findings(program, report.path)
    #expect(try await found == expected(in: scratch) && found.count > 10)
  }

  @Test func sarifHasWhatTheStandardRequires() async throws {
    let scratch = try await tree()
    let report = try await report("sarif", in: scratch)
    try await expectValid(report.path, "sarif-required")
    let program = """
      import json, os, sys, urllib.parse
      run = json.load(open(sys.argv[1]))["runs"][0]
      for result in run["results"]:
          assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
          path = urllib.parse.unquote(result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"])
          assert os.path.exists(os.path.join(os.path.dirname(sys.argv[1]), path)), path
          print(result["ruleId"])
      assert not run["invocations"][0]["executionSuccessful"]
      """
    #expect(try await findings(program, report.path) == expected(in: scratch))
  }

  @Test func junitIsXMLThatAddsUp() async throws {
    let scratch = try await tree()
    let report = try await report("junit", in: scratch)
    let program = """
      import re, sys, xml.etree.ElementTree
      suite = xml.etree.ElementTree.parse(sys.argv[1]).getroot()[0]
      cases = suite.findall("testcase")
      assert int(suite.get("tests")) == len(cases)
      assert int(suite.get("failures")) == len(suite.findall("testcase/failure"))
      assert int(suite.get("errors")) == len(suite.findall("testcase/error")) == 1
      for text in [element.text for kind in ("failure", "system-out") for element in suite.findall("testcase/" + kind)]:
          for code in re.findall(r"\\[(SC\\d+)\\]", text): print(code)
      """
    #expect(try await findings(program, report.path) == expected(in: scratch))
  }

  @Test func gitHubGetsALineForEachFinding() async throws {
    let scratch = try await tree()
    let report = try await report("github", in: scratch)
    let lines = report.text.split(separator: "\n")
    #expect(
      lines.allSatisfy { $0.hasPrefix("::error file=tree/") || $0.hasPrefix("::warning file=tree/") }, "\(report.text)")
    let codes = lines.compactMap { $0.firstMatch(of: #/,title=(SC\d+) /#).map { String($0.output.1) } }
    // What cannot be read is an annotation, too.
    #expect(try await codes.sorted() == (expected(in: scratch) + ["SC003"]).sorted())
    #expect(lines.contains { $0.hasPrefix("::error file=tree/50%25%2Cx%3Ay.o,title=SC102 ") })
  }

  @Test func listingsAndDifferencesFollowTheirSchemas() async throws {
    let scratch = try await tree()
    let list = try await staticcall(
      ["list", "--format", "json", "--disassemble", "tree/bad.o", "tree/good.o", "tree/left.o"], scratch)
    try await expectValid(scratch.write(list.output.utf8, to: "list.json"), "list")
    let diff = try await staticcall(["diff", "--format", "json", "tree/bad.o", "tree/good.o"], scratch)
    #expect(diff.status == 1)
    try await expectValid(scratch.write(diff.output.utf8, to: "diff.json"), "diff")
  }
}
