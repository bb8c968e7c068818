/** \file
 * search: the merging coefficients that score best in an evaluation of the program's own.
 */
#ifndef DFMERGE_SEARCH_HPP
#define DFMERGE_SEARCH_HPP

#include "callback.hpp"
#include "json.hpp"
#include "weights.hpp"

#include <atomic>
#include <memory>
#include <string>
#include <utility>

DFMERGE_NAMESPACE_BEGIN

/** The options of a search as JSON: name, type, range, default, summary. */
inline result<std::string> try_search_options() {
    return detail::description(dfm_search_options_describe);
}

/** A DF-Merge search. Move-only; it may be moved at any time, its callbacks stay set.
 *
 * Callbacks are called on the thread that calls run() or apply(). Any callable will do, move-only
 * ones too; the search owns it. What it throws ends the run and comes out of run() or apply()
 * unchanged. From inside a callback the search itself is not to be used: its members then fail with
 * status::invalid_state. */
class search {
public:
    /** A search, after every check that can be made before it runs.
     *
     * The weights need not outlive it, but memory that they lend must. `target` is where every
     * candidate is written; it must not share memory with the others. The labels of the models are
     * their names. */
    static dfmerge::result<search> try_create(const dfmerge::options &options, const weights &base,
                                              const weights_list &models, weights &target,
                                              const cancel_flag *cancel = nullptr) {
        DFMERGE_TRY(try_check_abi());
        DFMERGE_TRY(options.check("options"));
        const auto handles = models.handles();
        dfm_search *raw = nullptr;
        DFMERGE_TRY(detail::checked(
            dfm_search_create(options.text().c_str(), base.native(), handles.data(),
                              static_cast<std::int64_t>(handles.size()), target.native(),
                              cancel ? cancel->native() : nullptr, &raw)));
        return search(raw);
    }

    /** Sets what scores a candidate: a callable with a `const dfmerge::trial &` or with nothing,
     * that returns what an evaluation is made from (a double, a vector of them, std::nullopt ...).
     */
    template <class F> dfmerge::result<void> try_set_evaluate(F &&f) {
        return set<const detail::evaluation_request &, detail::evaluation_callable>(
            std::forward<F>(f), "evaluation", &callbacks::evaluate,
            [](dfm_search *handle, void *user) {
                return dfm_search_set_evaluate(handle, &search::evaluate<&callbacks::evaluate>,
                                               user);
            });
    }
    /** Sets what scores a candidate on a fixed subset, for the option subset_share: the callback of
     * try_set_evaluate() then follows only where the whole is worth its cost. */
    template <class F> dfmerge::result<void> try_set_evaluate_subset(F &&f) {
        return set<const detail::evaluation_request &, detail::evaluation_callable>(
            std::forward<F>(f), "subset evaluation", &callbacks::subset,
            [](dfm_search *handle, void *user) {
                return dfm_search_set_evaluate_subset(handle, &search::evaluate<&callbacks::subset>,
                                                      user);
            });
    }
    /** Sets what measures Fisher values: a callable with a `dfmerge::fisher &`, that returns
     * nothing, bool (false stops) or dfmerge::result<void>. Not needed with the option fisher =
     * "none". */
    template <class F> dfmerge::result<void> try_set_fisher(F &&f) {
        return set<fisher &, detail::fisher_callable>(
            std::forward<F>(f), "Fisher", &callbacks::measure, [](dfm_search *handle, void *user) {
                return dfm_search_set_fisher(handle, &search::measure, user);
            });
    }
    /** Sets what hears of progress: a callable with a `const dfmerge::progress &`, that returns
     * nothing, bool (false stops) or dfmerge::result<void>. Optional. */
    template <class F> dfmerge::result<void> try_set_progress(F &&f) {
        return set<const progress &, detail::progress_callable>(
            std::forward<F>(f), "progress", &callbacks::hear, [](dfm_search *handle, void *user) {
                return dfm_search_set_progress(handle, &search::hear, user);
            });
    }

    /** The search as JSON: models, tasks, groups, number of coefficients, options, warnings. */
    dfmerge::result<std::string> try_describe() const {
        return detail::text_of([&](dfm_text **out) { return dfm_search_describe(native(), out); });
    }

    /** Runs to the end of the budget, and leaves the best candidate in the target's memory.
     *
     * `journal` is the path of a file that is made or continued; nullptr for none. A run that was
     * stopped is continued by a new search with the same options and the same journal. */
    dfmerge::result<void> try_run(const cstring &journal = nullptr) {
        DFMERGE_TRY(detail::check_text(journal, "journal"));
        return calling([&](dfm_search *handle) { return dfm_search_run(handle, journal.c_str()); });
    }

    /** The result as JSON: best, trials, why it ended, Pareto front, slices, warnings; see
     * dfm_search_result. After a run that was stopped: the best of the finished trials. */
    dfmerge::result<std::string> try_result() const {
        return detail::text_of([&](dfm_text **out) { return dfm_search_result(native(), out); });
    }

    /** Writes a candidate into the target's memory: a coefficient per model (with the option groups
     * per model and group, all groups of the first model first), and the power of the Fisher
     * weights, 0 to 1. Fisher values that are needed and not yet known are measured. */
    dfmerge::result<void> try_apply(span<const double> coefficients, double exponent) {
        return calling([&](dfm_search *handle) {
            return dfm_search_apply(handle, coefficients.data(),
                                    static_cast<std::int64_t>(coefficients.size()), exponent);
        });
    }

#if DFMERGE_EXCEPTIONS
    /** The same as try_create(), throwing. */
    search(const dfmerge::options &options, const weights &base, const weights_list &models,
           weights &target, const cancel_flag *cancel = nullptr)
        : search(try_create(options, base, models, target, cancel).value()) {}
    /** The same as try_set_evaluate(), throwing. */
    template <class F> void set_evaluate(F &&f) { try_set_evaluate(std::forward<F>(f)).value(); }
    /** The same as try_set_evaluate_subset(), throwing. */
    template <class F> void set_evaluate_subset(F &&f) {
        try_set_evaluate_subset(std::forward<F>(f)).value();
    }
    /** The same as try_set_fisher(), throwing. */
    template <class F> void set_fisher(F &&f) { try_set_fisher(std::forward<F>(f)).value(); }
    /** The same as try_set_progress(), throwing. */
    template <class F> void set_progress(F &&f) { try_set_progress(std::forward<F>(f)).value(); }
    /** The same as try_describe(), throwing. */
    std::string describe() const { return try_describe().value(); }
    /** The same as try_run(), throwing; what a callback threw comes out unchanged. */
    void run(const cstring &journal = nullptr) { try_run(journal).value(); }
    /** The same as try_result(), throwing. */
    std::string result() const { return try_result().value(); }
    /** The same as try_apply(), throwing; what a callback threw comes out unchanged. */
    void apply(span<const double> coefficients, double exponent) {
        try_apply(coefficients, exponent).value();
    }
#endif

    /** The C handle, which stays this object's; null after a move. */
    dfm_search *native() const noexcept { return handle_.get(); }
    /** Takes over a C handle, which dfm_search_free would free. Its callbacks stay what they are;
     * those set from here on belong to this object. */
    static search adopt(dfm_search *handle) { return search(handle); }

private:
    /** What the user pointers of the callbacks point to. It stays in place when the search moves,
     * and for the length of a run that destroys its own search. */
    struct callbacks {
        std::unique_ptr<detail::callable<const detail::evaluation_request &>> evaluate;
        std::unique_ptr<detail::callable<const detail::evaluation_request &>> subset;
        std::unique_ptr<detail::callable<fisher &>> measure;
        std::unique_ptr<detail::callable<const progress &>> hear;
        detail::stop_reason why;
        std::atomic<bool> is_running{false};
    };

    template <
        std::unique_ptr<detail::callable<const detail::evaluation_request &>> callbacks::*Place>
    static std::int32_t evaluate(void *user, std::int64_t number, const double *coefficients,
                                 std::int64_t n_coefficients, double *scores, double *variances,
                                 std::int64_t n_tasks) noexcept {
        auto &state = *static_cast<callbacks *>(user);
        const auto tasks = static_cast<std::size_t>(n_tasks);
        const trial candidate{
            number, {coefficients, static_cast<std::size_t>(n_coefficients)}, n_tasks};
        const detail::evaluation_request request{candidate, {scores, tasks}, {variances, tasks}};
        return state.why.ask<const detail::evaluation_request &>(*(state.*Place), request);
    }
    static std::int32_t measure(void *user, std::int64_t model, double coefficient,
                                dfm_fisher *handle) noexcept {
        auto &state = *static_cast<callbacks *>(user);
        fisher values(handle, model, coefficient);
        return state.why.ask<fisher &>(*state.measure, values);
    }
    static std::int32_t hear(void *user, const char *phase, std::int64_t done, std::int64_t total,
                             double best) noexcept {
        auto &state = *static_cast<callbacks *>(user);
        const progress event{phase, done, total, best};
        return state.why.ask<const progress &>(*state.hear, event);
    }

    explicit search(dfm_search *handle)
        : callbacks_(std::make_shared<callbacks>()), handle_(handle) {}

    template <class Argument, template <class> class Callable, class F, class Set>
    dfmerge::result<void> set(F &&f, const char *which,
                              std::unique_ptr<detail::callable<Argument>> callbacks::*place,
                              Set install) {
        auto callable = detail::erase<Argument, Callable>(std::forward<F>(f), which);
        if (!callable) return callable.error();
        // The library refuses this during a run: nothing that is being called is replaced.
        DFMERGE_TRY(detail::checked(install(native(), callbacks_.get())));
        (*callbacks_).*place = std::move(*callable);
        return {};
    }

    /** Makes a call that calls back. A callback may move or destroy this object. */
    template <class Call> dfmerge::result<void> calling(Call &&call) {
        const auto state = callbacks_;
        if (!state) return detail::checked(call(nullptr));
        // A call from inside a callback or from another thread is refused by the library, and must
        // not touch the reason for which the outer one stops.
        if (state->is_running.exchange(true)) return detail::checked(call(native()));
        const dfm_status code = call(native());
        const auto why = std::exchange(state->why, {});
        state->is_running = false;
        return why.outcome(code);
    }

    std::shared_ptr<callbacks> callbacks_;
    detail::owned<dfm_search, dfm_search_free> handle_;
};

#if DFMERGE_EXCEPTIONS
/** The same as try_search_options(), throwing. */
inline std::string search_options() { return try_search_options().value(); }
#endif

DFMERGE_NAMESPACE_END

#endif
