"""What the types do not say: which handles exist, and what a valid call of a function is.

A new handle type needs a role in ``runtime/live.c`` and a cycle in ``runtime/cycles.c``; a new
function needs a recipe unless the types and the names of its parameters give a valid call.
"""

from __future__ import annotations

from typing import Any

#: The state in which a live handle of each type is made, for functions that do not say another.
ROLES = {
    "dfm_text": "ROLE_TEXT",
    "dfm_weights": "ROLE_WEIGHTS_BASE",
    "dfm_cancel": "ROLE_CANCEL",
    "dfm_search": "ROLE_SEARCH_READY",
    "dfm_optimizer": "ROLE_OPTIMIZER_ASKED",
    "dfm_fisher": "ROLE_FISHER",
}

#: Functions of runtime/cycles.c in which a handle of each type is made, used and freed.
CYCLES = {
    "dfm_text": ["cycle_text"],
    "dfm_weights": [
        "cycle_weights_lent",
        "cycle_weights_opened",
        "cycle_weights_shared",
        "cycle_weights_allocated",
    ],
    "dfm_cancel": ["cycle_cancel"],
    "dfm_search": ["cycle_search_fisher", "cycle_search_journal", "cycle_search_failed"],
    "dfm_optimizer": ["cycle_optimizer", "cycle_optimizer_journal"],
    # It lives inside the Fisher callback of a run.
    "dfm_fisher": ["cycle_search_fisher"],
}

#: Type to domain, for every type but handles, which the record lists.
DOMAINS = {
    "int32_t": "DOMAIN_INT32",
    "int64_t": "DOMAIN_INT64",
    "double": "DOMAIN_DOUBLE",
    "const char *": "DOMAIN_TEXT",
    "const double *": "DOMAIN_IN_DOUBLES",
    "const int64_t *": "DOMAIN_IN_INT64S",
    "double *": "DOMAIN_OUT_DOUBLES",
    "int64_t *": "DOMAIN_OUT_INT64S",
    "int32_t *": "DOMAIN_OUT_INT32S",
    "float **": "DOMAIN_OUT_FLOAT_POINTER",
    "const void **": "DOMAIN_OUT_POINTER",
    "void **": "DOMAIN_OUT_DLPACK",
    "dfm_evaluate_fn": "DOMAIN_EVALUATE",
    "dfm_fisher_fn": "DOMAIN_FISHER",
    "dfm_progress_fn": "DOMAIN_PROGRESS",
}

#: `void *` is memory of the host's, which is read, or something that is only passed on.
UNTYPED = {
    "user": "DOMAIN_OPAQUE",
    "data": "DOMAIN_DATA",
    "gradient": "DOMAIN_DATA",
}

#: Types of which a valid value follows from the type alone.
DERIVED = {
    "DOMAIN_HANDLE",
    "DOMAIN_DATA",
    "DOMAIN_OPAQUE",
    "DOMAIN_OUT_HANDLE",
    "DOMAIN_OUT_DOUBLES",
    "DOMAIN_OUT_INT64S",
    "DOMAIN_OUT_INT32S",
    "DOMAIN_OUT_FLOAT_POINTER",
    "DOMAIN_OUT_POINTER",
    "DOMAIN_OUT_DLPACK",
    "DOMAIN_EVALUATE",
    "DOMAIN_FISHER",
    "DOMAIN_PROGRESS",
}

#: Valid values by type and name, where the same name means the same in every function.
NAMED: dict[tuple[str, str], Any] = {
    ("const char *", "method"): "average",
    ("const char *", "name"): "w",
    ("const char *", "label"): "label",
    ("const char *", "options"): None,
    ("const char *", "settings"): None,
    ("const char *", "journal"): None,
    ("dfm_weights *const *", "models"): True,
    ("dfm_weights *const *", "fishers"): False,
    ("int64_t", "n_models"): 2,
    ("int64_t", "n_tasks"): 1,
    ("int64_t", "n_points"): 2,
    ("int64_t", "n_parameters"): 2,
    ("int64_t", "n_coefficients"): 2,
    ("int64_t", "number"): 0,
    ("dfm_weights *", "target"): "ROLE_WEIGHTS_TARGET",
    ("const double *", "scores"): [0.5],
    ("const double *", "variances"): [0.01],
    ("const double *", "points"): [0.5, 0.5, 0.25, 0.75],
    ("const double *", "point"): [0.5, 0.25],
    ("const double *", "coefficients"): [0.5, 0.5],
}

#: What a function takes beyond that. "pairs": False tries wrong values one at a time only.
RECIPES: dict[str, dict[str, Any]] = {
    "dfm_status_name": {"status": 100},
    "dfm_fisher_accumulate": {"dtype": 2, "count": 8, "weight": 0.5},
    # Every plan that succeeds measures how fast the machine is, a tenth of a second; the same
    # arguments go through pairs in dfm_merge.
    "dfm_merge_plan": {"path": None, "pairs": False},
    "dfm_merge": {"path": None},
    "dfm_optimizer_create": {"options": '{"parameters": [{"name": "x", "low": 0, "high": 1}]}'},
    "dfm_optimizer_ask": {"n": 2},
    "dfm_optimizer_tell_subset": {"optimizer": "ROLE_OPTIMIZER_STAGED"},
    "dfm_optimizer_tell_failed": {"reason": "a reason"},
    "dfm_optimizer_enqueue": {"repeats": 1},
    "dfm_optimizer_predict": {"optimizer": "ROLE_OPTIMIZER_TOLD"},
    "dfm_optimizer_stop_reason": {"optimizer": "ROLE_OPTIMIZER_TOLD"},
    "dfm_optimizer_best": {"optimizer": "ROLE_OPTIMIZER_TOLD"},
    "dfm_optimizer_trials": {"optimizer": "ROLE_OPTIMIZER_TOLD"},
    "dfm_optimizer_result": {"optimizer": "ROLE_OPTIMIZER_TOLD"},
    "dfm_weights_save": {"path": "saved.safetensors"},
    "dfm_search_set_evaluate_subset": {"search": "ROLE_SEARCH_STAGED"},
    "dfm_search_run": {"journal": "search.jsonl"},
    "dfm_search_result": {"search": "ROLE_SEARCH_FINISHED"},
    "dfm_search_apply": {"exponent": 0.5},
    "dfm_weights_open": {"path": "model.safetensors"},
    "dfm_weights_allocate": {
        "weights": "ROLE_WEIGHTS_EMPTY",
        "dtype": 2,
        "shape": [2, 4],
        "rank": 2,
    },
    "dfm_weights_dlpack": {"weights": "ROLE_WEIGHTS_OPENED", "major": 1},
    "dfm_fisher_dlpack": {"shape": [2, 4], "rank": 2, "major": 1},
    "dfm_weights_add": {
        "weights": "ROLE_WEIGHTS_EMPTY",
        "dtype": 2,
        "shape": [2, 4],
        "rank": 2,
        "byte_length": 32,
        "writable": 1,
    },
}
