/* Valid arguments: live handles of every type, in the state that a call needs. */
#include "conformance.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static float base_values[N_ELEMENTS] = {0, 1, 2, 3, 4, 5, 6, 7};
static float model_values[2][N_ELEMENTS] = {{1, 1, 1, 1, 1, 1, 1, 1}, {2, 0, 2, 0, 2, 0, 2, 0}};
static float target_values[N_ELEMENTS];

static void *lives[ROLE_COUNT];
static void *models[2];
static void *fisher_now;

int32_t evaluate_well(void *user, int64_t trial, const double *coefficients, int64_t n_coefficients,
                      double *scores, double *variances, int64_t n_tasks) {
    (void)user, (void)trial, (void)variances, (void)n_tasks;
    scores[0] = 1 - fabs(coefficients[0] - 0.4) - fabs(coefficients[n_coefficients - 1] - 0.6);
    return DFM_CALLBACK_OK;
}

int32_t fisher_well(void *user, int64_t model, double coefficient, dfm_fisher *fisher) {
    static const float gradient[N_ELEMENTS] = {1, 2, 1, 2, 1, 2, 1, 2};
    float *values = NULL;
    int64_t count = 0;
    (void)user, (void)model, (void)coefficient;
    must(dfm_fisher_accumulate(fisher, "w", DFM_DTYPE_F32, gradient, N_ELEMENTS, 0.5));
    must(dfm_fisher_data(fisher, "w", &values, &count));
    if (count != N_ELEMENTS || values[0] < 0.5f) fail("the Fisher values are not what was added");
    return DFM_CALLBACK_OK;
}

int32_t progress_well(void *user, const char *phase, int64_t done, int64_t total, double best) {
    (void)user, (void)best;
    if (phase[0] == 0 || done > total) fail("progress %s: %d of %d", phase, (int)done, (int)total);
    return DFM_CALLBACK_OK;
}

static void *lend(const char *label, float *values, int32_t writable) {
    const int64_t shape[] = {2, N_ELEMENTS / 2};
    dfm_weights *weights = NULL;
    must(dfm_weights_create(label, &weights));
    must(dfm_weights_add(weights, "w", DFM_DTYPE_F32, shape, 2, values, sizeof base_values,
                         writable));
    return weights;
}

void **live_models(void) {
    if (models[0] == NULL) models[0] = lend("a", model_values[0], 0);
    if (models[1] == NULL) models[1] = lend("b", model_values[1], 0);
    return models;
}

/* Without the live handles: those may have been freed by the call under test. */
static void *make_search(const char *options, bool staged) {
    dfm_weights *base = lend("base", base_values, 0), *target = lend("target", target_values, 1);
    dfm_search *search = NULL;
    must(dfm_search_create(options, base, (dfm_weights *const *)live_models(), 2, target, NULL,
                           &search));
    must(dfm_search_set_evaluate(search, evaluate_well, NULL));
    if (staged) must(dfm_search_set_evaluate_subset(search, evaluate_well, NULL));
    must(dfm_search_set_fisher(search, fisher_well, NULL));
    /* The search has its own hold on what it needs. */
    dfm_weights_free(base);
    dfm_weights_free(target);
    return search;
}

static void *make_optimizer(const char *options) {
    dfm_optimizer *optimizer = NULL;
    double points[6];
    int64_t numbers[3];
    must(dfm_optimizer_create(options, NULL, &optimizer));
    must(dfm_optimizer_ask(optimizer, 3, points, numbers));
    return optimizer;
}

static void *make_told(void) {
    static const double score = 0.5, variance = 0.01;
    dfm_optimizer *optimizer =
        make_optimizer("{\"parameters\": [{\"name\": \"x\", \"low\": 0, \"high\": 1},"
                       " {\"name\": \"y\", \"low\": 0, \"high\": 1}], \"initial\": 2}");
    must(dfm_optimizer_tell(optimizer, 0, &score, &variance, 1));
    must(dfm_optimizer_tell(optimizer, 1, &score, NULL, 1));
    return optimizer;
}

void *make(enum role role) {
    static const char none[] = "{\"trials\": 3, \"initial\": 3, \"fisher\": \"none\"}";
    dfm_text *text = NULL;
    dfm_cancel *cancel = NULL;
    dfm_weights *weights = NULL;
    void *search;
    switch (role) {
    case ROLE_CANCEL: must(dfm_cancel_create(&cancel)); return cancel;
    case ROLE_TEXT: must(dfm_search_options_describe(&text)); return text;
    case ROLE_WEIGHTS_BASE: return lend("base", base_values, 0);
    case ROLE_WEIGHTS_EMPTY: must(dfm_weights_create("empty", &weights)); return weights;
    case ROLE_WEIGHTS_OPENED: must(dfm_weights_open("model.safetensors", &weights)); return weights;
    case ROLE_WEIGHTS_TARGET: return lend("target", target_values, 1);
    case ROLE_SEARCH_READY: return make_search(none, false);
    case ROLE_SEARCH_STAGED:
        return make_search("{\"trials\": 3, \"initial\": 3, \"fisher\": \"none\","
                           " \"subset_share\": 0.5}", true);
    case ROLE_SEARCH_FINISHED:
        search = make_search(none, false);
        must(dfm_search_run(search, NULL));
        return search;
    case ROLE_OPTIMIZER_ASKED:
        return make_optimizer("{\"parameters\": [{\"name\": \"x\", \"low\": 0, \"high\": 1},"
                              " {\"name\": \"y\", \"low\": 0, \"high\": 1}]}");
    case ROLE_OPTIMIZER_STAGED:
        return make_optimizer("{\"parameters\": [{\"name\": \"x\", \"low\": 0, \"high\": 1},"
                              " {\"name\": \"y\", \"low\": 0, \"high\": 1}],"
                              " \"subset_share\": 0.5}");
    case ROLE_OPTIMIZER_TOLD: return make_told();
    default: fail("there is no maker for role %d", role);
    }
}

static int handle_of(enum role role) {
    if (role == ROLE_CANCEL) return 'c';
    if (role == ROLE_TEXT) return 't';
    if (role <= ROLE_WEIGHTS_TARGET) return 'w';
    return role <= ROLE_SEARCH_FINISHED ? 's' : 'o';
}

void *live(enum role role) {
    if (role == ROLE_FISHER) return fisher_now;
    if (lives[role] == NULL) lives[role] = make(role);
    return lives[role];
}

void forget(enum role role) {
    if (role == ROLE_FISHER || lives[role] == NULL) return;
    switch (handle_of(role)) {
    case 'c': dfm_cancel_free(lives[role]); break;
    case 't': dfm_text_free(lives[role]); break;
    case 'w': dfm_weights_free(lives[role]); break;
    case 's': dfm_search_free(lives[role]); break;
    default: dfm_optimizer_free(lives[role]); break;
    }
    lives[role] = NULL;
}

void forget_all(void) {
    for (int role = 1; role < ROLE_COUNT; role++) forget((enum role)role);
    for (int i = 0; i < 2; i++) {
        dfm_weights_free(models[i]);
        models[i] = NULL;
    }
}

/* ---- DLPack, as its specification lays it out ---- */

struct dl_tensor {
    void *data;
    int32_t device[2], rank;
    uint8_t code, bits;
    uint16_t lanes;
    int64_t *shape, *strides;
    uint64_t byte_offset;
};

struct dl_legacy {
    struct dl_tensor tensor;
    void *context;
    void (*deleter)(struct dl_legacy *);
};

struct dl_versioned {
    uint32_t major, minor;
    void *context;
    void (*deleter)(struct dl_versioned *);
    uint64_t flags;
    struct dl_tensor tensor;
};

void release_dlpack(void *structure, int32_t major) {
    struct dl_legacy *legacy = structure;
    struct dl_versioned *versioned = structure;
    const struct dl_tensor *tensor = major == 0 ? &legacy->tensor : &versioned->tensor;
    if (major != 0 && versioned->major != 1) fail("DLPack of version %u", versioned->major);
    int64_t stride = 1;
    for (int axis = tensor->rank - 1; axis >= 0; axis--) {
        if (tensor->strides[axis] != stride) fail("a stride of a DLPack tensor is wrong");
        stride *= tensor->shape[axis];
    }
    if (major == 0) legacy->deleter(legacy);
    else versioned->deleter(versioned);
}

/* ---- A Fisher handle lives inside a callback only ---- */

struct inside {
    void (*body)(const struct function *);
    const struct function *function;
    int times;
};

static int32_t run_inside(void *user, int64_t model, double coefficient, dfm_fisher *fisher) {
    struct inside *inside = user;
    float *values = NULL;
    int64_t count = 0;
    (void)model, (void)coefficient;
    fisher_now = fisher;
    /* Later callbacks of the same run measure other models: once is enough. */
    if (inside->times++ == 0 && inside->body != NULL) inside->body(inside->function);
    /* The body may have added what overflows; the run is to go on. */
    must(dfm_fisher_data(fisher, "w", &values, &count));
    for (int64_t i = 0; i < count; i++) values[i] = 1;
    return DFM_CALLBACK_OK;
}

void inside_fisher_callback(void (*body)(const struct function *),
                            const struct function *function) {
    struct inside inside = {body, function, 0};
    void *search = make_search("{\"trials\": 1, \"initial\": 1, \"fisher\": \"static\","
                               " \"exponent\": 1}", false);
    must(dfm_search_set_fisher(search, run_inside, &inside));
    must(dfm_search_run(search, NULL));
    dfm_search_free(search);
    if (inside.times == 0) fail("the search asked for no Fisher values");
}

void *freed(int handle) {
    static void *known[16];
    if (handle < 0 || handle >= 16) fail("there is no room for handle type %d", handle);
    if (known[handle] != NULL) return known[handle];
    if (handle_roles[handle] == ROLE_FISHER) {
        void *before = fisher_now;
        inside_fisher_callback(NULL, NULL);
        known[handle] = fisher_now;
        fisher_now = before;
    } else {
        known[handle] = make(handle_roles[handle]);
        handle_frees[handle](known[handle]);
    }
    return known[handle];
}
