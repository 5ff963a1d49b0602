import Testing

@testable import S3

@Suite struct XMLTests {
    @Test("Elements, entities, CDATA, prefixes and attributes are read")
    func reading() throws {
        let text = """
            \u{FEFF}<?xml version="1.0" encoding="UTF-8"?>
            <!-- a -- b -->
            <s3:List xmlns:s3='http://a/>'><Key>a &amp; b&#x20;&#233;<![CDATA[<&>]]></Key>\
            <Empty a="1"/><Key>two</Key></s3:List>
            """
        let node = try XMLNode(document: text.utf8)
        #expect(node.name == "List")
        #expect(node["Key"] == "a & b é<&>")
        #expect(node.all("Key").map(\.text) == ["a & b é<&>", "two"])
        #expect(node["Empty"] == "" && node["Other"] == nil)
    }

    @Test("Text goes through escaping and back")
    func escaping() throws {
        let text = "a<b>&amp;\"c\"\r\n'é'"
        #expect(try XMLNode(document: "<a>\(XMLNode.escape(text))</a>".utf8).text == text)
    }

    @Test(
        "What is no whole document, or declares entities, is refused",
        arguments: [
            "", "<", "<a>", "<a></b>", "<a/><b/>", "<a>&b;</a>", "<a>&#0;</a>", "<a>&#xD800;</a>",
            "<a>&", "<a b='", "<a b='c", "<!-- a", "<a><![CDATA[b</a>", "<a></a", "text",
            "<!DOCTYPE a [<!ENTITY b \"bbbbbbbb\">]><a>&b;</a>",
            "<a><!ENTITY b \"c\"></a>", "{\"a\": 1}",
            String(repeating: "<a>", count: 17) + String(repeating: "</a>", count: 17),
        ])
    func refusing(text: String) {
        #expect(throws: S3Error.self) { try XMLNode(document: text.utf8) }
    }

    @Test("Bytes that are not UTF-8 are refused")
    func encoding() {
        #expect(throws: S3Error.self) {
            try XMLNode(document: [0x3c, 0x61, 0x3e, 0xff, 0x3c, 0x2f, 0x61, 0x3e])
        }
    }
}
