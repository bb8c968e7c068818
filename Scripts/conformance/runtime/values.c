/* What each parameter is tried with: a valid value first, then everything that can be wrong. */
#include "conformance.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PARAMETERS = 16, OUTPUT_BYTES = 1024, HUGE_TEXT = 1 << 20, DEEP_TEXT = 100000 };
static const unsigned char pattern = 0xA5;

static const int32_t int32s[] = {INT32_MIN, -1, INT32_MAX, 0, 1, 2, 99};
static const int64_t int64s[] = {INT64_MIN, -1,        INT64_MAX,       0,
                                 INT32_MIN, INT32_MAX, (1LL << 32) + 1, 1LL << 62};
static double reals[] = {0 /* NaN */, 0 /* inf */, 0 /* -inf */, DBL_MAX, -DBL_MAX,
                         DBL_MIN / 4, -0.0,        -1,           0};

static char *huge_text, *deep_text;
static const char *texts[] = {
    "", "\xff\xfe", "{", "[]", NULL /* huge */, NULL /* deep */, "\xc0\x80", "\xed\xa0\x80",
    "{\"a\": 1, \"a\": 2}", "{\"trials\": 1e999}", "{\"trials\": 3} ", "null", "\"", "[1, 2",
    "{\"\\ud800\": 0}", "/nonexistent/folder/model.safetensors", "no such name", "%s%n%s%n",
    "{\"threads\": -1}", "{\"parameters\": []}", "\xef\xbb\xbf{}"};
enum { HUGE_AT = 4, DEEP_AT = 5, N_TEXTS = sizeof texts / sizeof *texts, PAIRED_TEXTS = 4 };

/* Never dereferenced by a correct library, so any number will do. */
static void *const garbage[] = {
    (void *)1, (void *)0xDEADBEEF, (void *)0xDF00000000FFFFF0ULL, (void *)0xDF00000000000001ULL,
    (void *)UINTPTR_MAX, (void *)16};
enum { N_GARBAGE = sizeof garbage / sizeof *garbage };
static char some_memory[64];

static double wrong_doubles[5][64];
static int64_t wrong_int64s[4][64];
static _Alignas(16) float data[64];
static _Alignas(16) unsigned char outputs[MAX_PARAMETERS][OUTPUT_BYTES];
static void *arrays[MAX_PARAMETERS][4];

void values_begin(void) {
    reals[0] = nan("");
    reals[1] = INFINITY;
    reals[2] = -INFINITY;
    huge_text = malloc(HUGE_TEXT + 1);
    deep_text = malloc(DEEP_TEXT + 1);
    if (huge_text == NULL || deep_text == NULL) fail("there is no memory for the texts");
    memset(huge_text, 'a', HUGE_TEXT);
    memset(deep_text, '[', DEEP_TEXT);
    huge_text[HUGE_TEXT] = deep_text[DEEP_TEXT] = 0;
    texts[HUGE_AT] = huge_text;
    texts[DEEP_AT] = deep_text;
    for (int i = 0; i < 64; i++) {
        for (int set = 0; set < 5; set++) wrong_doubles[set][i] = reals[set < 4 ? set : 5];
        for (int set = 0; set < 4; set++) wrong_int64s[set][i] = int64s[set];
        data[i] = (float)i;
    }
}

void values_end(void) {
    free(huge_text);
    free(deep_text);
}

/* NULL, garbage, memory of the host's, the live handle plus 1 and plus 8, freed, other types. */
static int handle_count(void) { return 1 + 1 + N_GARBAGE + 3 + 1 + n_handles; }

int value_count(const struct parameter *parameter) {
    switch (parameter->domain) {
    case DOMAIN_INT32: return 1 + (int)(sizeof int32s / sizeof *int32s);
    case DOMAIN_INT64: return 1 + (int)(sizeof int64s / sizeof *int64s);
    case DOMAIN_DOUBLE: return 1 + (int)(sizeof reals / sizeof *reals);
    case DOMAIN_TEXT: return 1 + 1 + N_TEXTS;
    case DOMAIN_HANDLE: return handle_count();
    case DOMAIN_HANDLES: return 1 + 1 + 6;
    case DOMAIN_DATA: return 1 + 1 + 1;
    case DOMAIN_OPAQUE: return 1 + 3;
    case DOMAIN_IN_DOUBLES: return 1 + 1 + 5;
    case DOMAIN_IN_INT64S: return 1 + 1 + 4;
    default: return 1 + 1; /* callbacks and outputs: there, or NULL */
    }
}

bool value_in_pairs(const struct parameter *parameter, int value) {
    switch (parameter->domain) {
    case DOMAIN_TEXT: return value <= 1 + PAIRED_TEXTS;
    /* NULL, two numbers, freed, and one of another type. */
    case DOMAIN_HANDLE: return value <= 3 || value == 5 + N_GARBAGE || value == 6 + N_GARBAGE;
    case DOMAIN_HANDLES: return value <= 4;
    default: return true;
    }
}

static enum expectation handle_at(const struct parameter *parameter, int value,
                                  union slot *argument) {
    if (value < N_GARBAGE) {
        argument->pointer = garbage[value];
    } else if (value == N_GARBAGE) {
        argument->pointer = some_memory;
    } else if (value < N_GARBAGE + 3) {
        int step = value == N_GARBAGE + 1 ? 1 : 8;
        argument->pointer = (void *)((uintptr_t)live(parameter->role) + (uintptr_t)step);
    } else if (value == N_GARBAGE + 3) {
        argument->pointer = freed(parameter->handle);
    } else {
        int other = value - N_GARBAGE - 4;
        void *handle = other == parameter->handle ? NULL : live(handle_roles[other]);
        argument->pointer = handle != NULL ? handle : freed(other);
    }
    return EXPECT_WRONG_HANDLE;
}

static enum expectation handles_at(const struct parameter *parameter, int value, int place,
                                   union slot *argument) {
    void **array = arrays[place];
    memcpy(array, live_models(), 2 * sizeof *array);
    argument->pointer = array;
    switch (value) {
    case 0: array[1] = NULL; return EXPECT_NULL_POINTER;
    case 1: array[0] = garbage[0]; break;
    case 2: array[1] = freed(parameter->handle); break;
    case 3: array[1] = live(ROLE_CANCEL); break;
    case 4: array[0] = (void *)((uintptr_t)array[0] + 1); break;
    default: array[1] = array[0]; return EXPECT_ANY; /* twice the same */
    }
    return EXPECT_WRONG_HANDLE;
}

static void valid(const struct parameter *parameter, int place, union slot *argument) {
    switch (parameter->domain) {
    case DOMAIN_INT32: argument->i32 = (int32_t)parameter->number; break;
    case DOMAIN_INT64: argument->i64 = parameter->number; break;
    case DOMAIN_DOUBLE: argument->real = parameter->real; break;
    case DOMAIN_TEXT: argument->text = parameter->text; break;
    /* A handle that may be NULL and has no role is left out. */
    case DOMAIN_HANDLE:
        argument->pointer = parameter->role == ROLE_NONE ? NULL : live(parameter->role);
        break;
    case DOMAIN_HANDLES:
        memcpy(arrays[place], live_models(), 2 * sizeof *arrays[place]);
        argument->pointer = parameter->number ? arrays[place] : NULL;
        break;
    case DOMAIN_DATA: argument->pointer = data; break;
    case DOMAIN_OPAQUE: argument->pointer = NULL; break;
    case DOMAIN_IN_DOUBLES: argument->pointer = (void *)(uintptr_t)parameter->reals; break;
    case DOMAIN_IN_INT64S: argument->pointer = (void *)(uintptr_t)parameter->integers; break;
    case DOMAIN_EVALUATE: argument->evaluate = evaluate_well; break;
    case DOMAIN_FISHER: argument->fisher = fisher_well; break;
    case DOMAIN_PROGRESS: argument->progress = progress_well; break;
    default: argument->pointer = outputs[place]; break;
    }
}

enum expectation value_at(const struct parameter *parameter, int value, int place,
                          union slot *argument) {
    bool is_number = parameter->domain <= DOMAIN_DOUBLE;
    memset(argument, 0, sizeof *argument);
    if (value == 0) {
        valid(parameter, place, argument);
        return EXPECT_ANY;
    }
    if (!is_number) {
        /* The slot is all zero: NULL, as a pointer and as a function. */
        if (value == 1) return parameter->nullable ? EXPECT_ANY : EXPECT_NULL_POINTER;
        value -= 1;
    }
    value -= 1;
    switch (parameter->domain) {
    case DOMAIN_INT32: argument->i32 = int32s[value]; return EXPECT_ANY;
    case DOMAIN_INT64: argument->i64 = int64s[value]; return EXPECT_ANY;
    case DOMAIN_DOUBLE: argument->real = reals[value]; return EXPECT_ANY;
    case DOMAIN_TEXT: argument->text = texts[value]; return EXPECT_ANY;
    case DOMAIN_HANDLE: return handle_at(parameter, value, argument);
    case DOMAIN_HANDLES: return handles_at(parameter, value, place, argument);
    case DOMAIN_DATA: argument->pointer = (char *)data + 1; return EXPECT_ANY;
    case DOMAIN_OPAQUE: argument->pointer = garbage[value]; return EXPECT_ANY;
    case DOMAIN_IN_DOUBLES: argument->pointer = wrong_doubles[value]; return EXPECT_ANY;
    case DOMAIN_IN_INT64S: argument->pointer = wrong_int64s[value]; return EXPECT_ANY;
    default: fail("'%s' has no value %d", parameter->name, value);
    }
}

static bool is_output(const struct parameter *parameter) {
    return parameter->domain >= DOMAIN_OUT_HANDLE && parameter->domain <= DOMAIN_OUT_DLPACK;
}

void output_reset(const struct parameter *parameter, int place) {
    if (place >= MAX_PARAMETERS) fail("'%s' is one parameter too many", parameter->name);
    if (is_output(parameter)) memset(outputs[place], pattern, OUTPUT_BYTES);
}

bool output_untouched(const struct parameter *parameter, int place) {
    if (!is_output(parameter)) return true;
    for (int i = 0; i < OUTPUT_BYTES; i++)
        if (outputs[place][i] != pattern) return false;
    return true;
}

void *output_handle(int place) {
    void *handle;
    memcpy(&handle, outputs[place], sizeof handle);
    return handle;
}
