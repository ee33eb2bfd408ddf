"""Sweep files of which a list, a generator or a combination of fields is wrong."""

from tests.sweeps.malformed import bad, mnist, sphere, top

EMPTY_OR_REPEATED = {
    "empty-grid-list": sphere("grid: {width: []}", 5, "'tasks[0].grid.width' is empty"),
    "repeated-grid-value": sphere(
        "grid:\n      width:\n        - 4\n        - 8\n        - 4",
        9,
        "'tasks[0].grid.width' lists 4 twice",
    ),
    "repeated-as-int-and-float": sphere("grid: {lr: [1, 1.0]}", 5, "lists 1.0 twice"),
    "fixed-and-grid": sphere(
        "fixed: {n: 8}\n    grid: {n: [16]}", 6, "'n' stands in both fixed and grid of tasks[0]"
    ),
    "duplicate-top-key": top("name: a\nseeds: [0]\nname: b", 3, "'name' stands twice", "line 1"),
    "duplicate-field": sphere(
        "fixed:\n      n: 8\n      d: 4\n      n: 9", 8, "'n' stands twice", "line 6"
    ),
    "no-name": top("seeds: [0]", 1, "'name' is missing"),
    "no-seeds": top("name: a", 1, "'seeds' is missing"),
    "no-tasks": bad("name: a\nseeds: [0]\n", 1, "'tasks' is missing"),
    "tasks-empty": bad(
        "name: a\nseeds: [0]\ntasks: []\n", 3, "'tasks' must be a list with at least 1 entry"
    ),
    "tasks-null": bad("name: a\nseeds: [0]\ntasks:\n", 3, "'tasks' must be a list, not None"),
    "task-entry-is-text": bad(
        "name: a\nseeds: [0]\ntasks:\n  - sphere\n",
        4,
        "'tasks[0]' must be a mapping of keys to values, not 'sphere'",
    ),
    "task-name-missing": bad(
        "name: a\nseeds: [0]\ntasks:\n  - fixed: {n: 8}\n", 4, "'tasks[0].task' is missing"
    ),
    "bad-name": top("name: A B\nseeds: [0]", 1, "'name' must be lower-case letters", "'A B'"),
    "name-is-a-path": top("name: ../../etc\nseeds: [0]", 1, "'name' must be lower-case letters"),
    "name-is-a-number": top("name: 7\nseeds: [0]", 1, "'name' must be text, not 7"),
    "name-too-long": top(f"name: {'a' * 65}\nseeds: [0]", 1, "at most 64"),
    "too-many-trials": sphere(
        "grid: {width: {range: [1, 5002]}, depth: [1, 2]}",
        3,
        "10002 trials",
        "limits.trials is 10000",
    ),
    "too-many-trials-for-limit": bad(
        "name: a\nseeds: [0, 1]\nlimits: {trials: 3}\ntasks:\n  - task: sphere\n    grid: {n: [8,"
        " 9]}\n",
        4,
        "4 trials",
        "limits.trials is 3",
    ),
}

SEEDS = {
    "seeds-empty": top("name: a\nseeds: []", 2, "'seeds' is empty"),
    "seeds-negative": top("name: a\nseeds: [0, -1]", 2, "'seeds[1]' must be at least 0, not -1"),
    "seeds-text": top("name: a\nseeds: [zero]", 2, "'seeds[0]' must be a whole number, not 'zero'"),
    "seeds-float": top("name: a\nseeds: [0.5]", 2, "'seeds[0]' must be a whole number, not 0.5"),
    "seeds-repeated": top("name: a\nseeds:\n  - 3\n  - 3", 4, "'seeds' lists 3 twice"),
    "seeds-scalar": top("name: a\nseeds: 3", 2, "'seeds' must be a list", "not 3"),
    "seeds-too-large": top(f"name: a\nseeds: [{2**63}]", 2, "'seeds[0]' must be less than"),
}

GENERATORS = {
    "unknown-generator": sphere(
        "grid:\n      width:\n        geomspce: [4, 8, 2]",
        7,
        "unknown key 'geomspce'",
        "did you mean 'geomspace'",
    ),
    "two-generators": sphere(
        "grid:\n      width: {geomspace: [4, 8, 2], range: [1, 4]}",
        6,
        "exactly one of geomspace and range",
    ),
    "no-generator": sphere("grid: {width: {}}", 5, "exactly one of geomspace and range"),
    "geomspace-arity": sphere(
        "grid: {width: {geomspace: [4, 8]}}",
        5,
        "'tasks[0].grid.width.geomspace'",
        "[start, stop (included), count]",
    ),
    "geomspace-text": sphere(
        "grid: {width: {geomspace: [4, eight, 2]}}", 5, "must be numbers", "'eight'"
    ),
    "geomspace-scalar": sphere("grid: {width: {geomspace: 4}}", 5, "must be numbers", "not 4"),
    "geomspace-float-count": sphere(
        "grid: {width: {geomspace: [4, 8, 2.5]}}", 5, "must be numbers", "2.5"
    ),
    "geomspace-bool": sphere(
        "grid: {width: {geomspace: [4, 8, true]}}", 5, "must be numbers", "True"
    ),
    "geomspace-zero-start": sphere(
        "grid: {width: {geomspace: [0, 8, 2]}}", 5, "start and stop above 0"
    ),
    "geomspace-negative": sphere(
        "grid: {lr: {geomspace: [0.1, -0.1, 2]}}", 5, "start and stop above 0"
    ),
    "geomspace-count-zero": sphere("grid: {width: {geomspace: [4, 8, 0]}}", 5, "a count from 1"),
    "geomspace-count-huge": sphere(
        "grid: {lr: {geomspace: [0.1, 1, 999999999999]}}", 5, "a count from 1 to 1000000"
    ),
    "geomspace-infinite": sphere("grid: {lr: {geomspace: [0.1, .inf, 3]}}", 5, "must be numbers"),
    "geomspace-nan": sphere("grid: {lr: {geomspace: [.nan, 1, 3]}}", 5, "must be numbers"),
    "range-step-zero": sphere(
        "grid: {width: {range: [1, 8, 0]}}", 5, "'tasks[0].grid.width.range' must be whole numbers"
    ),
    "range-floats": sphere(
        "grid: {width: {range: [1, 8, 0.5]}}", 5, "must be whole numbers", "0.5"
    ),
    "range-arity": sphere("grid: {width: {range: [8]}}", 5, "must be whole numbers"),
    "range-empty": sphere("grid: {width: {range: [8, 8]}}", 5, "'tasks[0].grid.width' is empty"),
    "range-huge": sphere("grid: {width: {range: [0, 100000000000]}}", 5, "has 100000000000 points"),
}

RULES_ACROSS_FIELDS = {
    "flip-with-digits": mnist(
        "fixed: {head: digits, label_flip: 0.1}",
        4,
        "'label_flip' belongs to head 'parity'",
        "label_resample",
    ),
    "resample-with-parity": mnist(
        "fixed: {label_resample: 0.1}", 4, "'label_resample' belongs to head 'digits'"
    ),
    "noise-stop-without-noise": mnist(
        "fixed: {stop: noise}", 4, "stop 'noise' needs injected noise"
    ),
    "too-many-for-5k": mnist(
        "fixed: {n: 4001, stop: epochs}", 4, "has 4000 training digits and n is 4001", "'hub'"
    ),
    "capacity-with-mlp": mnist(
        "fixed: {stop: epochs, model: mlp, capacity: 2}",
        4,
        "capacity cannot be set for model 'mlp'",
    ),
    "width-with-cnn": mnist(
        "fixed: {stop: epochs, model: cnn, width: 2}", 4, "width cannot be set for model 'cnn'"
    ),
    "second-entry": mnist(
        "fixed: {label_flip: 0.1}\n  - task: mnist\n    fixed: {head: digits, label_flip: 0.1}",
        6,
        "'label_flip' belongs to head 'parity'",
    ),
    "unknown-source": mnist(
        "fixed:\n      stop: epochs\n      source: mnist-50k",
        7,
        "'source' must be",
        "'mnist-50k'",
        "did you mean 'mnist-5k'",
    ),
    "idx-without-path": mnist(
        "fixed:\n      stop: epochs\n      source: 'idx:'", 7, "'source' must be", "idx:PATH"
    ),
    "idx-path-missing": mnist(
        "fixed:\n      stop: epochs\n      source: idx:no/such/folder",
        7,
        "'idx:no/such/folder' is not a folder",
    ),
}
