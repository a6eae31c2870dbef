import Foundation
import TestSupport
import Testing

/// Reports for programs: each is read back by one that did not write it.
@Suite(.enabled(if: pythonHas("jsonschema"), "python3-jsonschema is not installed")) struct FormatTests {
  /// A right object, one without a table, one that cannot be read, one with a call that stays, an archive with two members of a name,
  /// and names that need care.
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
    for name in [
      "a & b <c> \"d\" 'e'.o", "50%,x:y.o", "\u{e4}\n::error::.o", "tab\t\r.o", "]]>#?.o", "\u{1}\u{1b}\u{85}.o",
      "\u{ffff}.o",
    ] {
      try scratch.write(bad, to: "tree/\(name)")
    }
    // Names of functions and static calls: C++'s, and one that hurts.
    try await scratch.make(
      #"""
      .type _ZN3net4sendEv, %function
      _ZN3net4sendEv: CALL __SCT__a
      .size _ZN3net4sendEv, . - _ZN3net4sendEv
      "<&>\"'{0}[b](c)%0A::": CALL __SCT__a
      """#, "tree/names.o")
    try await require(
      "sh",
      [
        "-c",
        #"cp bad.o "$(printf 'f\377.o')"; cp bad.o "$(printf 'f\376.o')"; ar rcS l.a bad.o bad.o.s; ar q l.a bad.o"#,
      ],
      in: scratch.file("tree"))
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

  /// The codes of the report for people: what each of the others must say as often.
  private func expected(in scratch: Scratch) async throws -> [String] {
    let text = try await staticcall(["verify", "tree"], scratch).output
    return text.matches(of: /\[(SC\d+)\]/).map { String($0.output.1) }.sorted()
  }

  @Test func jsonFollowsItsSchema() async throws {
    let scratch = try await tree()
    let report = try await report("json", in: scratch)
    try await expectValid(report.path, "verify")
    let program = """
      import json, os, sys
      document = json.load(open(sys.argv[1], encoding="utf-8"))
      seen = set()
      for subject in document["subjects"]:
          path = bytes.fromhex(subject["pathBytes"]) if "pathBytes" in subject else subject["path"].encode()
          assert os.path.exists(os.path.join(os.path.dirname(sys.argv[1]).encode(), path)), path
          assert (path, subject.get("memberIndex")) not in seen
          seen.add((path, subject.get("memberIndex")))
          for finding in subject["findings"]:
              if subject["checked"]: print(finding["code"])
              if finding.get("function") == "_ZN3net4sendEv": assert finding["functionName"] == "net::send()"
      assert {index for path, index in seen if path == b"tree/l.a"} == {0, 2}
      assert {b"tree/f\\xff.o", b"tree/f\\xfe.o"} < {path for path, index in seen}
      summary = document["summary"]
      assert summary["skippedMembers"] == 1 and summary["skippedFiles"] > 0 and summary["unchecked"] == 1
      assert summary["bitcode"] == summary["images"] == 0 and summary["failed"]
      assert summary["objects"] == len(document["subjects"]) - 1
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
      run = json.load(open(sys.argv[1], encoding="utf-8"))["runs"][0]
      driver, invocation = run["tool"]["driver"], run["invocations"][0]
      for result in run["results"]:
          assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
          location = result["locations"][0]
          artifact = location["physicalLocation"]["artifactLocation"]
          assert artifact["uriBaseId"] == "%SRCROOT%"
          path = urllib.parse.unquote_to_bytes(urllib.parse.urlsplit(artifact["uri"]).path)
          assert os.path.exists(os.path.join(os.path.dirname(sys.argv[1]).encode(), path)), path
          address = location["physicalLocation"].get("address")
          if address: assert run["addresses"][address["parentIndex"]]["kind"] == "section"
          for name in location["logicalLocations"]:
              if name.get("decoratedName"):
                  assert (name["decoratedName"], name["fullyQualifiedName"]) == ("_ZN3net4sendEv", "net::send()")
          print(result["ruleId"])
      modules = {name["fullyQualifiedName"] for result in run["results"]
                 for name in result["locations"][0]["logicalLocations"] if name["kind"] == "module"}
      assert modules == {"bad.o", "bad.o[2]"}, modules
      assert any("decoratedName" in name for result in run["results"]
                 for name in result["locations"][0]["logicalLocations"])
      assert not invocation["executionSuccessful"] and invocation["exitCode"] == 2
      notification, = invocation["toolExecutionNotifications"]
      assert driver["notifications"][notification["descriptor"]["index"]]["id"] == notification["descriptor"]["id"] == "SC003"
      """
    #expect(try await findings(program, report.path) == expected(in: scratch))
  }

  /// Where files lie outside, and linked images, whose addresses are absolute.
  @Test(.enabled(if: tool("ld.lld") != nil, "ld.lld is not installed"))
  func sarifHasAddressesAndAbsoluteURIs() async throws {
    let scratch = try Scratch()
    try FileManager.default.createDirectory(atPath: scratch.file("in ner"), withIntermediateDirectories: true)
    try await scratch.make(
      ".type f, %function\nf: CALL __SCT__a\n.size f, . - f\n.p2align 4\n__SCT__a: ret\n.data\n__SCK__a: .quad 0", "a.o"
    )
    try await require(
      "ld.lld",
      ["-e", "0", "-Ttext=0xffffffff81000000", "--section-start=.data=0xffffffff81010000", "-o", "image", "a.o"],
      in: scratch.path)
    for path in ["../image", "\(scratch.path)/in ner/../image", "\(scratch.path)/image"] {
      let run = try await run(staticcallPath, ["verify", "--format", "sarif", path], in: scratch.file("in ner"))
      #expect(run.status == 1)
      let document = try scratch.write(run.output.utf8, to: "image.sarif")
      try await expectValid(document, "sarif-required")
      let program = """
        import json, os, sys, urllib.parse
        run = json.load(open(sys.argv[1], encoding="utf-8"))["runs"][0]
        place = run["results"][0]["locations"][0]["physicalLocation"]
        uri = urllib.parse.urlsplit(place["artifactLocation"]["uri"])
        assert (uri.scheme, uri.netloc) == ("file", "") and "uriBaseId" not in place["artifactLocation"]
        assert urllib.parse.unquote(uri.path) == os.path.join(os.path.dirname(sys.argv[1]), "image"), uri
        assert run["addresses"] == [place["address"]] and place["address"]["absoluteAddress"] == 0xffffffff81000000
        assert run["invocations"][0]["executionSuccessful"] and run["invocations"][0]["exitCode"] == 1
        assert run["invocations"][0]["toolExecutionNotifications"] == run["tool"]["driver"]["notifications"] == []
        """
      #expect(try await findings(program, document) == [])
    }
  }

  @Test func junitIsXMLThatAddsUp() async throws {
    let scratch = try await tree()
    let report = try await report("junit", in: scratch)
    let program = """
      import re, sys, xml.etree.ElementTree
      suite = xml.etree.ElementTree.parse(sys.argv[1]).getroot()[0]
      cases = suite.findall("testcase")
      assert int(suite.get("tests")) == len(cases) == len({case.get("name") for case in cases})
      names = {case.get("name") for case in cases}
      assert {"tree/\\u00e4\\n::error::.o", "tree/tab\\t\\r.o", "tree/]]>#?.o", "tree/f\\\\xff.o"} < names, names
      assert "tree/\\\\u{01}\\\\u{1B}\\u0085.o" in names and "tree/l.a(bad.o)[2]" in names, names
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
    #expect(!report.text.unicodeScalars.contains { $0.value < 0x20 && !["\n", "\t"].contains($0) })
    // The rules of @actions/core: a property has no colon and no comma, and a percent sign is part of an escape.
    for line in lines {
      let command = try #require(
        line.wholeMatch(of: /::(?:error|warning) file=([^:,]*),title=([^:,]*)::(.*)/), "\(line)")
      for part in [command.output.1, command.output.2, command.output.3] {
        #expect(!part.contains(/%(?!25|0D|0A|3A|2C)|\r/), "\(line)")
      }
    }
    let restored = lines.compactMap { $0.firstMatch(of: /file=([^:,]*),/)?.output.1.removingPercentEncoding }
    #expect(
      Set(restored).isSuperset(of: ["tree/\u{e4}\n::error::.o", "tree/tab\t\r.o", "tree/50%,x:y.o", #"tree/f\xff.o"#]))
  }

  @Test func listingsFollowTheirSchema() async throws {
    let scratch = try await tree()
    for options in [["--disassemble"], ["--summary"], ["-k", "a"], ["--summary", "-k", "a"]] {
      let list = try await staticcall(
        ["list", "--format", "json"] + options
          + ["tree/bad.o", "gone.o", "tree/good.o", "tree/left.o", "tree/l.a", "tree/cut.o", "tree/names.o"], scratch)
      #expect(list.status == 2)
      let document = try scratch.write(list.output.utf8, to: "list.json")
      try await expectValid(document, "list")
      let program = """
        import json, sys
        document = json.load(open(sys.argv[1], encoding="utf-8"))
        places = [(o["path"], o.get("member"), o.get("memberIndex")) for o in document["objects"]]
        assert places == [("tree/bad.o", None, None), ("tree/good.o", None, None), ("tree/left.o", None, None),
            ("tree/l.a", "bad.o", 0), ("tree/l.a", "bad.o", 2), ("tree/names.o", None, None)], places
        for failure in document["failures"]:
            for finding in failure["findings"]: print(failure["path"], finding["code"])
            assert finding["help"] or finding["code"] == "SC001"
        for o in document["objects"]:
            names = [s["key"] for s in o["sites"]] if "sites" in o else [g["name"] for g in o["summary"]["keys"]]
            assert "a" in names and ("b" not in names or \(options.contains("-k") ? "False" : "True"))
            for g in (o["summary"]["keys"] + o["summary"]["shapes"] if "summary" in o else []):
                assert g["uses"] == sum(g[n] for n in ("inTable", "notInTable", "convertible", "stay", "noSite"))
        """
      #expect(try await findings(program, document) == ["gone.o SC001", "tree/cut.o SC003"])
    }
  }

  @Test func differencesFollowTheirSchema() async throws {
    let scratch = try await tree()
    for (old, new, status, count) in [
      ("tree/bad.o", "tree/good.o", 1, "2"), ("tree/bad.o", "tree/bad.o", 0, "0"), ("gone.o", "tree/cut.o", 2, "-"),
    ] {
      let diff = try await staticcall(["diff", "--format", "json", old, new], scratch)
      #expect(diff.status == status)
      let document = try scratch.write(diff.output.utf8, to: "diff.json")
      try await expectValid(document, "diff")
      let program = """
        import json, sys
        document = json.load(open(sys.argv[1], encoding="utf-8"))
        print(len(document["differences"]) if "differences" in document else "-")
        for failure in document["failures"]: print(failure["path"], failure["findings"][0]["code"])
        """
      #expect(
        try await findings(program, document) == (status == 2 ? ["-", "gone.o SC001", "tree/cut.o SC003"] : [count]))
    }
  }
}
