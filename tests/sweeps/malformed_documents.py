"""Sweep files that are not plain data, not YAML, or no mapping."""

from tests.sweeps.malformed import bad, sphere, top

BILLION_LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)

NOT_PLAIN_DATA = {
    "alias": sphere(
        "fixed: &f {n: 8}\n  - task: sphere\n    fixed: *f",
        5,
        "anchors and aliases are not allowed",
    ),
    "undefined-alias": sphere("fixed: *f", 5, "anchors and aliases are not allowed"),
    "anchor-on-mapping": bad(
        "name: a\nseeds: [0]\ntasks: &t\n  - task: sphere\n",
        3,
        "anchors and aliases are not allowed",
    ),
    "anchor-on-scalar": top("name: &n a\nseeds: [0]", 1, "anchors and aliases are not allowed"),
    "billion-laughs": bad(BILLION_LAUGHS, 1, "anchors and aliases are not allowed"),
    "merge-key": sphere("fixed: {n: 8}\n    <<: {grid: {}}", 6, "the tag", "merge", "plain data"),
    "python-tag-on-a-key": sphere(
        "fixed: {!!python/name:os.system n: 8}", 5, "the tag", "python/name", "plain data"
    ),
    "python-tag": sphere(
        'fixed: !!python/object/apply:os.system ["touch pwned"]',
        5,
        "the tag",
        "python/object/apply",
        "plain data",
    ),
    "python-name-tag": sphere(
        "fixed: {n: !!python/name:os.system }", 5, "the tag", "is not allowed"
    ),
    "binary-tag": sphere("fixed: {n: !!binary aGk=}", 5, "the tag", "is not allowed"),
    "set-tag": sphere("fixed: !!set {n}", 5, "the tag", "is not allowed"),
    "own-tag": sphere("fixed: {n: !n 8}", 5, "the tag '!n' is not allowed"),
    "key-with-a-line-break": sphere('fixed: {"a\\nb": 8}', 5, r"unknown key 'a\nb'"),
    "key-with-an-escape": top('name: a\nseeds: [0]\n"\\e[2J": 1', 3, r"unknown key '\x1b[2J'"),
    "task-with-an-escape": bad(
        'name: a\nseeds: [0]\ntasks:\n  - task: "\\e[2J"\n', 4, r"unknown task '\x1b[2J'"
    ),
    "key-is-a-list": sphere("fixed: {[n]: 8}", 5, "a key must be a plain word"),
}

NOT_A_MAPPING = {
    "bad-indent": bad("name: a\n seeds: [0]\n", 2, "is not valid YAML"),
    "unclosed-bracket": bad(
        "name: a\nseeds: [0\ntasks:\n  - task: sphere\n", 3, "is not valid YAML"
    ),
    "unclosed-quote": bad("name: 'a\nseeds: [0]\n", 3, "is not valid YAML"),
    "tab": bad("name: a\nseeds:\n\t- 0\n", 3, "is not valid YAML", r"'\t'"),
    "two-documents": bad("name: a\nseeds: [0]\n---\nname: b\n", 3, "single document"),
    "empty": bad("", 1, "is empty"),
    "only-comments": bad("# nothing\n\n# here\n", 1, "is empty"),
    "null": bad("~\n", 1, "a sweep file is a mapping with name, seeds and tasks"),
    "top-level-list": bad("- name: a\n", 1, "a sweep file is a mapping with name, seeds and tasks"),
    "top-level-text": bad(
        "sphere\n", 1, "a sweep file is a mapping with name, seeds and tasks", "'sphere'"
    ),
    "control-character": bad("name: a\nseeds: [0]\n# \x07\n", 3, "forbids", "U+0007"),
    "nul-character": bad("name: a\x00\n", 1, "forbids", "U+0000"),
    "impossible-escape": bad('name: "\\UFFFFFFFF"\n', 1, "is not valid YAML", "escape"),
    "deep-lists": bad("name: a\nseeds:\n  " + "[" * 5000, 3, "nested more than 20 levels deep"),
    "deep-mappings": bad("name: a\nseeds: " + "{a: " * 5000, 2, "nested more than 20 levels deep"),
    "deep-blocks": bad(
        "".join(" " * i + "a:\n" for i in range(200)), 21, "nested more than 20 levels deep"
    ),
}
