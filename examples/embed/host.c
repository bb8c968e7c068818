/* A C program that embeds Python and lets a Python function score the candidates of a search. The
 * search runs in a thread of its own that Python has never seen, while the main thread stays free,
 * to hear of Ctrl-C. With dfmerge installed (and PKG_CONFIG_PATH=PREFIX/lib/pkgconfig where PREFIX
 * is a place of your own) and the development files of Python (Debian: libpython3-dev):
 *
 *     gcc -std=c99 host.c $(pkg-config --cflags --libs dfmerge python3-embed) -pthread -o host
 *     export LD_LIBRARY_PATH=$(pkg-config --variable=libdir dfmerge)
 *     ./host evaluate.py
 */
#include <Python.h>

#include <dfmerge.h>

#include <pthread.h>
#include <time.h>

enum { SIZE = 1000 };
static float origin[SIZE], tuned[2][SIZE], live[SIZE];

/* What the threads share. `function`, `done` and the exception are for the holder of the GIL only.
 */
static struct {
    dfm_cancel *cancel;
    PyObject *function;
    PyObject *type, *value, *traceback; /* the exception that stopped the search, if one did */
    int done;
    dfm_status status;
    char message[1000];
} host;

static dfm_weights *lend(const char *label, float *data, int32_t writable) {
    const int64_t shape[] = {SIZE};
    dfm_weights *weights = NULL;
    if (dfm_weights_create(label, &weights) == DFM_OK)
        dfm_weights_add(weights, "w", DFM_DTYPE_F32, shape, 1, data, sizeof origin, writable);
    return weights; /* NULL or empty weights are refused by dfm_search_create */
}

/* Called by the search in a thread that does not hold the GIL: takes it for the call, lets it go.
 */
static int32_t evaluate(void *user, int64_t trial, const double *coefficients, int64_t n_models,
                        double *scores, double *variances, int64_t n_tasks) {
    (void)user, (void)trial, (void)coefficients, (void)n_models, (void)variances, (void)n_tasks;
    PyGILState_STATE gil = PyGILState_Ensure();
    /* The live weights themselves, not a copy; the view is released so that Python keeps none. */
    PyObject *view = PyMemoryView_FromMemory((char *)live, sizeof live, PyBUF_READ);
    PyObject *answer = view ? PyObject_CallFunctionObjArgs(host.function, view, NULL) : NULL;
    if (answer) scores[0] = PyFloat_AsDouble(answer);
    Py_XDECREF(answer);
    int failed = PyErr_Occurred() != NULL;
    /* An exception cannot pass through the search: it is kept, and told at the end. */
    if (failed) PyErr_Fetch(&host.type, &host.value, &host.traceback);
    PyObject *released = view ? PyObject_CallMethod(view, "release", NULL) : NULL;
    if (view && !released) PyErr_Clear(); /* something still exports it, such as an array */
    Py_XDECREF(released);
    Py_XDECREF(view);
    PyGILState_Release(gil);
    return failed ? DFM_CALLBACK_STOP : DFM_CALLBACK_OK;
}

static void *work(void *nothing) {
    dfm_weights *base = lend("base", origin, 0), *target = lend("live", live, 1);
    dfm_weights *models[] = {lend("a", tuned[0], 0), lend("b", tuned[1], 0)};
    dfm_search *search = NULL;
    dfm_status status = dfm_search_create("{\"trials\": 25, \"fisher\": \"none\"}", base, models, 2,
                                          target, host.cancel, &search);
    if (status == DFM_OK) status = dfm_search_set_evaluate(search, evaluate, NULL);
    if (status == DFM_OK) status = dfm_search_run(search, NULL);
    host.status = status;
    snprintf(host.message, sizeof host.message, "%s", dfm_last_error_message());
    dfm_search_free(search);
    for (int i = 0; i < 2; i++) dfm_weights_free(models[i]);
    dfm_weights_free(base);
    dfm_weights_free(target);
    PyGILState_STATE gil = PyGILState_Ensure();
    host.done = 1;
    PyGILState_Release(gil);
    return nothing;
}

int main(int argc, char **argv) {
    pthread_t thread;
    int interrupted = 0;
    if (argc != 2) return fprintf(stderr, "usage: %s SCRIPT.py\n", argv[0]), 2;
    for (int i = 0; i < SIZE; i++) tuned[0][i] = 1, tuned[1][i] = (float)(i % 2);
    if (dfm_cancel_create(&host.cancel) != DFM_OK) return 1;

    Py_Initialize(); /* with Python's own handler of Ctrl-C */
    PyObject *runpy = PyImport_ImportModule("runpy");
    PyObject *names = runpy ? PyObject_CallMethod(runpy, "run_path", "s", argv[1]) : NULL;
    host.function = names ? PyMapping_GetItemString(names, "evaluate") : NULL;
    if (!host.function) return PyErr_Print(), 1;

    PyThreadState *main_state = PyEval_SaveThread(); /* from here on nobody holds the GIL */
    int started = pthread_create(&thread, NULL, work, NULL) == 0;
    for (int done = !started; !done;) {
        const struct timespec pause = {0, 20000000};
        nanosleep(&pause, NULL);
        PyEval_RestoreThread(main_state);
        if (PyErr_CheckSignals() != 0) { /* Ctrl-C: the search ends after the trial at hand */
            PyErr_Clear();
            interrupted = 1;
            dfm_cancel_request(host.cancel);
        }
        done = host.done;
        main_state = PyEval_SaveThread();
    }
    if (started) pthread_join(thread, NULL);
    PyEval_RestoreThread(main_state);

    dfm_cancel_free(host.cancel);
    if (host.type) PyErr_Restore(host.type, host.value, host.traceback), PyErr_Print();
    if (interrupted) fprintf(stderr, "interrupted\n");
    else if (!started) fprintf(stderr, "no thread could be started\n");
    else if (host.status != DFM_OK) fprintf(stderr, "%s\n", host.message);
    else printf("merged: %.3f %.3f %.3f ...\n", live[0], live[1], live[2]);
    Py_XDECREF(host.function), Py_XDECREF(names), Py_XDECREF(runpy);
    if (Py_FinalizeEx() != 0) return 120;
    return interrupted ? 130 : !started || host.status != DFM_OK;
}
