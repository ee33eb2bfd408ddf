"""Sweep files of which a key or a single value is wrong."""

from tests.sweeps.malformed import bad, mnist, sphere, top

UNKNOWN_NAMES = {
    "unknown-task": bad(
        "name: a\nseeds: [0]\ntasks:\n  - task: spheer\n",
        4,
        "unknown task 'spheer'",
        "mnist, pretrained, sphere",
        "did you mean 'sphere'",
    ),
    "unknown-task-far": bad(
        "name: a\nseeds: [0]\ntasks:\n  - task: imagenet\n", 4, "unknown task 'imagenet'"
    ),
    "unknown-fixed-field": sphere(
        "fixed: {widht: 4}", 5, "unknown key 'widht' in 'tasks[0].fixed'", "did you mean 'width'"
    ),
    "unknown-grid-field": sphere(
        "grid:\n      n: [8]\n      dephts: [1]",
        7,
        "'dephts' in 'tasks[0].grid'",
        "did you mean 'depth'",
    ),
    "field-of-another-task": sphere(
        "fixed: {label_flip: 0.1}", 5, "unknown key 'label_flip'", "noise"
    ),
    "unknown-entry-key": sphere(
        "girds: {n: [8]}", 5, "unknown key 'girds' in 'tasks[0]'", "did you mean 'grid'"
    ),
    "unknown-top-key": top(
        "name: a\nseeds: [0]\nstorre: b", 3, "unknown key 'storre'", "did you mean 'store'"
    ),
    "unknown-resource": top(
        "name: a\nseeds: [0]\nresources:\n  cpu: 2",
        4,
        "unknown key 'cpu' in 'resources'",
        "did you mean 'cpus'",
    ),
    "unknown-limit": top(
        "name: a\nseeds: [0]\nlimits: {attempt: 2}",
        3,
        "'attempt' in 'limits'",
        "did you mean 'attempts'",
    ),
    "unknown-choice": sphere(
        "fixed: {stop: nosie}",
        5,
        "'tasks[0].fixed.stop'",
        "'noise'",
        "'nosie'",
        "did you mean 'noise'",
    ),
    "unknown-choice-in-grid": mnist(
        "grid:\n      head:\n        - parity\n        - digit",
        8,
        "'tasks[0].grid.head[1]'",
        "did you mean 'digits'",
    ),
}

WRONG_TYPES = {
    "text-for-int": sphere(
        "fixed: {width: four}", 5, "'tasks[0].fixed.width' must be a whole number, not 'four'"
    ),
    "quoted-int": sphere("fixed: {width: '4'}", 5, "must be a whole number, not '4'"),
    "bool-for-int": sphere("fixed: {width: true}", 5, "must be a whole number, not True"),
    "float-for-int": sphere("fixed: {width: 4.0}", 5, "must be a whole number, not 4.0"),
    "null-for-int": sphere("fixed: {width: null}", 5, "must be a whole number, not None"),
    "list-in-fixed": sphere(
        "fixed: {width: [4, 8]}", 5, "'tasks[0].fixed.width' must be a whole number, not [4, 8]"
    ),
    "mapping-in-fixed": sphere("fixed: {width: {range: [1, 4]}}", 5, "must be a whole number"),
    "text-for-float": sphere(
        "fixed: {lr: fast}", 5, "'tasks[0].fixed.lr' must be a number, not 'fast'"
    ),
    "bool-for-float": sphere("fixed: {lr: true}", 5, "must be a number, not True"),
    "int-for-text": mnist("fixed: {source: 5}", 5, "'tasks[0].fixed.source' must be text, not 5"),
    "float-in-int-grid": sphere(
        "grid:\n      width:\n        - 4\n        - 8.5", 8, "'tasks[0].grid.width[1]'", "not 8.5"
    ),
    "nested-list-in-grid": sphere(
        "grid: {width: [[4, 8]]}", 5, "'tasks[0].grid.width[0]'", "not [4, 8]"
    ),
    "scalar-grid": sphere(
        "grid: {width: 4}", 5, "'tasks[0].grid.width' must be a list", "geomspace", "not 4"
    ),
    "fixed-is-a-list": sphere(
        "fixed: [4]", 5, "'tasks[0].fixed' must be a mapping of keys to values, not [4]"
    ),
    "resources-is-text": top(
        "name: a\nseeds: [0]\nresources: big", 3, "'resources' must be a mapping of keys to values"
    ),
    "cpus-is-text": top(
        "name: a\nseeds: [0]\nresources: {cpus: two}",
        3,
        "'resources.cpus' must be a whole number, not 'two'",
    ),
    "store-is-a-number": top("name: a\nseeds: [0]\nstore: 5", 3, "'store' must be text, not 5"),
    "store-is-empty": top(
        "name: a\nseeds: [0]\nstore: ''", 3, "'store' must be at least 1 character"
    ),
    "store-with-a-nul": top('name: a\nseeds: [0]\nstore: "a\\0b"', 3, "'store'", "character"),
    "yaml-1.1-no": sphere("fixed: {width: no}", 5, "must be a whole number, not 'no'"),
    "yaml-1.1-sexagesimal": sphere("fixed: {width: 1:30}", 5, "must be a whole number, not '1:30'"),
    "yaml-1.1-octal": sphere("fixed: {width: 0o17}", 5, "must be a whole number, not '0o17'"),
    "yaml-1.1-underscore": sphere(
        "fixed: {width: 1_000}", 5, "must be a whole number, not '1_000'"
    ),
}

OUT_OF_RANGE = {
    "below-range": sphere(
        "fixed: {width: 0}", 5, "'tasks[0].fixed.width' must be at least 1, not 0"
    ),
    "above-range": sphere(
        "fixed: {depth: 21}", 5, "'tasks[0].fixed.depth' must be at most 20, not 21"
    ),
    "at-open-bound": sphere(
        "fixed: {lr: 0}", 5, "'tasks[0].fixed.lr' must be greater than 0.0, not 0"
    ),
    "above-float-range": mnist("fixed: {label_flip: 0.51}", 5, "must be at most 0.5, not 0.51"),
    "out-of-range-in-grid": sphere(
        "grid:\n      width: [4, 8,\n              -1]",
        7,
        "'tasks[0].grid.width[2]' must be at least 1, not -1",
    ),
    "generated-out-of-range": sphere(
        "grid: {width: {geomspace: [0.2, 8, 3]}}", 5, "'tasks[0].grid.width'", "at least 1, not 0"
    ),
    "cpus-out-of-range": top(
        "name: a\nseeds: [0]\nresources: {cpus: 0}", 3, "'resources.cpus' must be at least 1, not 0"
    ),
    "gpus-and-a-half": top(
        "name: a\nseeds: [0]\nresources: {gpus: 1.5}",
        3,
        "'resources.gpus' must be auto, a whole number",
    ),
    "six-tenths-of-a-gpu": top(
        "name: a\nseeds: [0]\nresources: {gpus: 0.6}",
        3,
        "'resources.gpus' must be auto, a whole number",
    ),
    "gpus-by-another-word": top(
        "name: a\nseeds: [0]\nresources: {gpus: all}",
        3,
        "'resources.gpus' must be auto, a whole number",
    ),
    "two-gpus-for-one": top(
        "name: a\nseeds: [0]\nresources: {gpus: 2}",
        3,
        "at most 1; only language models train on several",
    ),
    "measure-points-below-zero": top(
        "name: a\nseeds: [0]\nlimits: {measure_points: -1}", 3, "'limits.measure_points'", "not -1"
    ),
    "measure-points-in-parts": top(
        "name: a\nseeds: [0]\nlimits: {measure_points: 2.5}", 3, "must be a whole number, not 2.5"
    ),
    "measure-points-of-a-misspelt-instrument": top(
        "name: a\nseeds: [0]\nlimits: {measure_points: {stabilty: 64}}",
        3,
        "unknown key 'stabilty' in 'limits.measure_points'",
        "did you mean 'stability'",
    ),
    "measure-points-of-stability-zero": top(
        "name: a\nseeds: [0]\nlimits: {measure_points: {stability: 0}}",
        3,
        "'limits.measure_points.stability' must be at least 1, not 0",
    ),
    "measure-points-of-others-beyond-stability": top(
        "name: a\nseeds: [0]\nlimits: {measure_points: {stability: 64}}",
        3,
        "'limits.measure_points': others is 128 and must be at most stability, 64",
    ),
    "negative-seed-of-an-entry": sphere("seeds: [0, -1]", 5, "'tasks[0].seeds[1]'", "not -1"),
    "repeated-seed-of-an-entry": sphere("seeds: [3, 3]", 5, "'tasks[0].seeds' lists 3 twice"),
    "no-seeds-of-an-entry": sphere("seeds: []", 5, "'tasks[0].seeds' is empty"),
    "one-seed-of-an-entry": sphere("seeds: 3", 5, "'tasks[0].seeds' must be a list", "not 3"),
    "too-many-seeds-of-an-entry": sphere(
        "seeds: {range: [0, 10001]}", 3, "the cross product is 10001 trials"
    ),
    "limits-out-of-range": top(
        "name: a\nseeds: [0]\nlimits: {seconds_per_trial: 0}", 3, "must be greater than 0.0, not 0"
    ),
    "infinity": sphere(
        "fixed: {lr: .inf}", 5, "'tasks[0].fixed.lr' must be a finite number, not inf"
    ),
    "nan": sphere(
        "grid: {lr: [.nan]}", 5, "'tasks[0].grid.lr[0]' must be a finite number, not nan"
    ),
    "overflow-to-infinity": sphere("fixed: {lr: 1e999}", 5, "must be a finite number, not inf"),
    "huge-integer": sphere(f"fixed: {{width: {'9' * 5000}}}", 5, "number '999999", "is too long"),
    "large-integer": sphere(
        f"fixed: {{width: {'9' * 100}}}",
        5,
        "'tasks[0].fixed.width' must be at most 1000000, not 99999",
    ),
}
