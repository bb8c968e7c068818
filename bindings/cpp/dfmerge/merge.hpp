/** \file
 * merge: models into memory, a file or a folder, by one of the library's methods.
 */
#ifndef DFMERGE_MERGE_HPP
#define DFMERGE_MERGE_HPP

#include "callback.hpp"
#include "json.hpp"
#include "weights.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

DFMERGE_NAMESPACE_BEGIN

/** Every merging method as JSON: id, title, formula, summary, source, needs, options. */
inline result<std::string> try_methods() { return detail::description(dfm_methods_describe); }

/** The settings of a merge as JSON: name, type, default, summary and limits of each. */
inline result<std::string> try_merge_settings() {
    return detail::description(dfm_merge_settings_describe);
}

/** A merge: put together member by member, planned and run as often as wanted.
 *
 *     dfmerge::merge("task_arithmetic")
 *         .options({{"coefficients", {0.5, 0.25}}})
 *         .base(base).models({maths, code}).to("merged.safetensors").run();
 *
 * It holds the handles of the weights that it is given, not the weights: they must be there when it
 * runs (a handle that is gone is an error, status::wrong_handle, and nothing worse). Copied texts,
 * a callback of its own: move-only. */
class merge {
public:
    /** A merge by a method's id, as listed by try_methods(). */
    explicit merge(const cstring &method) { method_.set(method, "method"); }

    /** The method's options. Those per model take a number, a list in the models' order, or an
     * object by label. */
    merge &options(dfmerge::options options) & { return options_ = std::move(options), *this; }
    /** threads, max_memory, dtype and what to do about mismatches: see try_merge_settings(). */
    merge &settings(dfmerge::options settings) & { return settings_ = std::move(settings), *this; }
    /** The pretrained model, for methods that need it. */
    merge &base(const weights &base) & { return base_ = base.native(), *this; }
    /** The fine-tuned models. */
    merge &models(const weights_list &models) & {
        const auto handles = models.handles();
        return models_.assign(handles.begin(), handles.end()), *this;
    }
    /** The diagonal Fisher values of each model, in the models' order, for methods that need them:
     * tensors of the same names and shapes. For methods that need Gram matrices, those. */
    merge &fishers(const weights_list &fishers) & {
        const auto handles = fishers.handles();
        return fishers_.assign(handles.begin(), handles.end()), *this;
    }
    /** Writes into memory: tensors that were added as writable, and share none with the inputs.
     * Of into() and to() the last one counts. */
    merge &into(weights &target) & {
        path_ = {};
        return target_ = target.native(), *this;
    }
    /** Writes to a path: a file if it ends in ".safetensors", otherwise a folder. */
    merge &to(const cstring &path) & {
        target_ = nullptr;
        return path_.set(path, "path"), *this;
    }
    /** A stop flag that is polled during the merge. */
    merge &cancel(const cancel_flag &flag) & { return cancel_ = flag.native(), *this; }
    /** Hears of bytes done and in all: a callable `void(const dfmerge::progress &)`, or one that
     * returns bool, false to stop. On the calling thread, at most about 50 times a second. What it
     * throws stops the merge and comes out of run(). */
    template <class F> merge &on_progress(F &&f) & {
        auto callback = detail::erase<const progress &, detail::progress_callable>(
            std::forward<F>(f), "progress");
        progress_problem_.reset();
        if (callback) progress_ = std::move(*callback);
        else progress_problem_ = callback.error();
        return *this;
    }

    /** The same members for a merge that is written in one expression. @{ */
    merge &&options(dfmerge::options o) && { return std::move(options(std::move(o))); }
    merge &&settings(dfmerge::options s) && { return std::move(settings(std::move(s))); }
    merge &&base(const weights &w) && { return std::move(base(w)); }
    merge &&models(const weights_list &list) && { return std::move(models(list)); }
    merge &&fishers(const weights_list &list) && { return std::move(fishers(list)); }
    merge &&into(weights &w) && { return std::move(into(w)); }
    merge &&to(const cstring &path) && { return std::move(to(path)); }
    merge &&cancel(const cancel_flag &flag) && { return std::move(cancel(flag)); }
    template <class F> merge &&on_progress(F &&f) && {
        return std::move(on_progress(std::forward<F>(f)));
    }
    /** @} */

    /** What the merge will do, as JSON, without doing it: see dfm_merge_plan. Its member "text" is
     * for people. Tensors that do not fit are in it, and no error. With neither into() nor to(), it
     * is the plan for a result laid out like the base. */
    result<std::string> try_plan() const {
        DFMERGE_TRY(check());
        return detail::text_of([&](dfm_text **out) {
            return dfm_merge_plan(method_.c_str(), options_.text().c_str(),
                                  settings_.text().c_str(), base_, models_.data(), model_count(),
                                  fisher_data(), target_, path_.c_str(), out);
        });
    }

    /** Merges, and returns the report as JSON: see dfm_merge. Files are complete afterwards or as
     * they were before; memory may be partly written after an error in the arithmetic. */
    result<std::string> try_run() {
        DFMERGE_TRY(check());
        // Held here too: the callback may destroy this object.
        const auto callback = progress_;
        run_state state{callback.get(), {}};
        dfm_status code = DFM_OK;
        auto report = detail::text_of([&](dfm_text **out) {
            code =
                dfm_merge(method_.c_str(), options_.text().c_str(), settings_.text().c_str(), base_,
                          models_.data(), model_count(), fisher_data(), target_, path_.c_str(),
                          callback ? &merge::hear : nullptr, &state, cancel_, out);
            return code;
        });
        if (report) return report;
        if (state.why.thrown || state.why.failure) return state.why.outcome(code).error();
        return report;
    }

#if DFMERGE_EXCEPTIONS
    /** The same as try_plan(), throwing. */
    std::string plan() const { return try_plan().value(); }
    /** The same as try_run(), throwing. */
    std::string run() { return try_run().value(); }
#endif

private:
    /** A text that is kept, or none. */
    struct kept_text {
        std::optional<std::string> text;
        std::optional<error> problem;
        void set(const cstring &from, const char *argument) {
            problem.reset();
            if (auto right = detail::check_text(from, argument); !right) problem = right.error();
            if (from.c_str()) text = from.c_str();
            else text.reset();
        }
        const char *c_str() const noexcept { return text ? text->c_str() : nullptr; }
    };

    struct run_state {
        detail::callable<const progress &> *callback;
        detail::stop_reason why;
    };

    static std::int32_t hear(void *user, const char *phase, std::int64_t done, std::int64_t total,
                             double best) noexcept {
        auto &state = *static_cast<run_state *>(user);
        const progress event{phase, done, total, best};
        return state.why.ask<const progress &>(*state.callback, event);
    }

    result<void> check() const {
        DFMERGE_TRY(try_check_abi());
        for (const auto *problem : {&method_.problem, &path_.problem, &progress_problem_})
            if (*problem) return **problem;
        DFMERGE_TRY(options_.check("options"));
        DFMERGE_TRY(settings_.check("settings"));
        if (fishers_.empty() || fishers_.size() == models_.size()) return {};
        return error(status::invalid_argument, "There are " + std::to_string(fishers_.size()) +
                                                   " sets of Fisher values or Gram matrices for " +
                                                   std::to_string(models_.size()) +
                                                   " models; give one per model.");
    }
    std::int64_t model_count() const noexcept { return static_cast<std::int64_t>(models_.size()); }
    dfm_weights *const *fisher_data() const noexcept {
        return fishers_.empty() ? nullptr : fishers_.data();
    }

    kept_text method_;
    kept_text path_;
    dfmerge::options options_;
    dfmerge::options settings_;
    dfm_weights *base_ = nullptr;
    std::vector<dfm_weights *> models_;
    std::vector<dfm_weights *> fishers_;
    dfm_weights *target_ = nullptr;
    dfm_cancel *cancel_ = nullptr;
    std::shared_ptr<detail::callable<const progress &>> progress_;
    std::optional<error> progress_problem_;
};

#if DFMERGE_EXCEPTIONS
/** The same as try_methods(), throwing. */
inline std::string methods() { return try_methods().value(); }
/** The same as try_merge_settings(), throwing. */
inline std::string merge_settings() { return try_merge_settings().value(); }
#endif

DFMERGE_NAMESPACE_END

#endif
