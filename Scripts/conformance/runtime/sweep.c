/* Calls every function with its valid arguments, with one wrong, and with two wrong; looks at what
 * comes back after every call. */
#include "conformance.h"

#include <stdio.h>
#include <string.h>

enum { MAX_PARAMETERS = 16 };
static long calls;

static void describe(const struct function *function, const int *values, char *text, size_t size) {
    size_t length = (size_t)snprintf(text, size, "%s(", function->name);
    for (int i = 0; i < function->n_parameters && length < size; i++)
        length += (size_t)snprintf(text + length, size - length, "%s%s #%d", i ? ", " : "",
                                   function->parameters[i].name, values[i]);
    if (length < size) snprintf(text + length, size - length, ")");
}

static const char *pinned_name(int32_t number) {
    for (int i = 0; i < n_statuses; i++)
        if (statuses[i].number == number) return statuses[i].name;
    return NULL;
}

static bool is_documented(const struct function *function, int32_t status) {
    for (int i = 0; i < function->n_statuses; i++)
        if (function->statuses[i] == status) return true;
    /* Where memory ends is up to the machine, not to the function. */
    return status == DFM_ERROR_OUT_OF_MEMORY;
}

static bool is_utf8(const char *text) {
    const unsigned char *at = (const unsigned char *)text;
    while (*at != 0) {
        int more = *at < 0x80 ? 0 : *at >= 0xF0 ? 3 : *at >= 0xE0 ? 2 : *at >= 0xC2 ? 1 : -1;
        if (more < 0 || *at > 0xF4) return false;
        for (at++; more > 0; more--, at++)
            if ((*at & 0xC0) != 0x80) return false;
    }
    return true;
}

static void check_status(const struct function *function, const char *call, int32_t status) {
    const char *message = dfm_last_error_message(), *pinned = pinned_name(status);
    if (pinned == NULL) fail("%s: the status %d is not pinned", call, status);
    if (strcmp(dfm_status_name(status), pinned) != 0)
        fail("%s: the status %d is called %s", call, status, dfm_status_name(status));
    if (!is_documented(function, status))
        fail("%s: the status %s is not documented: %.200s", call, pinned, message);
    if (message == NULL || (message[0] != 0) != (status != 0))
        fail("%s: status %d with the message '%.200s'", call, status, message ? message : "(null)");
    if (!is_utf8(message)) fail("%s: the message is not UTF-8", call);
    if (status == DFM_ERROR_INTERNAL_ERROR) fail("%s: internal error: %.200s", call, message);
}

/* Which of DLPack's structures a call was asked for. */
static int32_t major_version(const struct function *function, const union slot *arguments) {
    for (int i = 0; i < function->n_parameters; i++)
        if (strcmp(function->parameters[i].name, "major") == 0) return arguments[i].i32;
    fail("%s hands out DLPack without 'major'", function->name);
}

/* Frees what the call made; looks at what it left alone. */
static void check_outputs(const struct function *function, const union slot *arguments,
                          const char *call, bool failed) {
    for (int i = 0; i < function->n_parameters; i++) {
        const struct parameter *parameter = &function->parameters[i];
        if (arguments[i].pointer == NULL) continue;
        if (failed && !output_untouched(parameter, i))
            fail("%s: failed, and has written '%s'", call, parameter->name);
        bool is_dlpack = parameter->domain == DOMAIN_OUT_DLPACK;
        if (failed || (parameter->domain != DOMAIN_OUT_HANDLE && !is_dlpack)) continue;
        void *handle = output_handle(i);
        if (handle == NULL || output_untouched(parameter, i))
            fail("%s: succeeded without '%s'", call, parameter->name);
        if (is_dlpack) release_dlpack(handle, major_version(function, arguments));
        else handle_frees[parameter->handle](handle);
    }
}

static void forget_changed(const struct function *function, bool failed) {
    for (int i = 0; i < function->n_parameters; i++) {
        const struct parameter *parameter = &function->parameters[i];
        if (parameter->domain != DOMAIN_HANDLE || parameter->role == ROLE_NONE) continue;
        if (parameter->consumed || (parameter->changed && !failed)) forget(parameter->role);
    }
}

static const char *const expected_names[] = {"", "null_pointer", "wrong_handle"};

/* One call; `wrong` is the number of values that are not the valid ones. */
static void one_call(const struct function *function, const int *values, int wrong) {
    union slot arguments[MAX_PARAMETERS], result;
    enum expectation expected = EXPECT_ANY;
    char call[1024];
    describe(function, values, call, sizeof call);
    for (int i = 0; i < function->n_parameters; i++) {
        output_reset(&function->parameters[i], i);
        enum expectation one = value_at(&function->parameters[i], values[i], i, &arguments[i]);
        if (one != EXPECT_ANY) expected = one;
    }
    memset(&result, 0, sizeof result);
    function->call(arguments, &result);
    calls++;
    bool failed = false;
    if (function->result == RESULT_STATUS) {
        check_status(function, call, result.i32);
        failed = result.i32 != 0;
        if (wrong == 0 && failed)
            fail("%s: the valid call fails: %s: %s\nGive it a recipe that is valid.", call,
                 dfm_status_name(result.i32), dfm_last_error_message());
        if (wrong == 1 && expected != EXPECT_ANY &&
            strcmp(dfm_status_name(result.i32), expected_names[expected]) != 0)
            fail("%s: is %s, should be %s", call, dfm_status_name(result.i32),
                 expected_names[expected]);
        /* Beside a count of 0 a pointer may be NULL; a wrong handle is never right. */
        if (expected == EXPECT_WRONG_HANDLE && !failed) fail("%s: succeeds", call);
    } else if (function->result == RESULT_TEXT) {
        if (result.text == NULL || !is_utf8(result.text)) fail("%s: the text is wrong", call);
    }
    check_outputs(function, arguments, call, failed);
    forget_changed(function, failed);
}

static void sweep_pairs(const struct function *function, int *values) {
    const struct parameter *parameters = function->parameters;
    for (int i = 0; i < function->n_parameters; i++)
        for (int j = i + 1; j < function->n_parameters; j++)
            for (int v = 1; v < value_count(&parameters[i]); v++)
                for (int w = 1; w < value_count(&parameters[j]); w++) {
                    if (!value_in_pairs(&parameters[i], v) || !value_in_pairs(&parameters[j], w))
                        continue;
                    values[i] = v;
                    values[j] = w;
                    one_call(function, values, 2);
                    values[i] = values[j] = 0;
                }
}

static bool with_pairs;

static void sweep_function(const struct function *function) {
    int values[MAX_PARAMETERS] = {0};
    if (function->n_parameters > MAX_PARAMETERS) fail("%s has too many parameters", function->name);
    one_call(function, values, 0);
    for (int i = 0; i < function->n_parameters; i++) {
        for (int value = 1; value < value_count(&function->parameters[i]); value++) {
            values[i] = value;
            one_call(function, values, 1);
        }
        values[i] = 0;
    }
    if (with_pairs && function->pairs) sweep_pairs(function, values);
    /* After everything that was wrong, what is right must still work. */
    one_call(function, values, 0);
}

static bool is_for_callbacks(const struct function *function) {
    for (int i = 0; i < function->n_parameters; i++)
        if (function->parameters[i].role == ROLE_FISHER) return true;
    return false;
}

long sweep(bool pairs) {
    with_pairs = pairs;
    for (int i = 0; i < n_functions; i++) {
        if (is_for_callbacks(&functions[i])) inside_fisher_callback(sweep_function, &functions[i]);
        else sweep_function(&functions[i]);
    }
    forget_all();
    return calls;
}
