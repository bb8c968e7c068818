/** \file
 * What callbacks are given and what they answer, and how a C++ callable becomes a C callback.
 */
#ifndef DFMERGE_CALLBACK_HPP
#define DFMERGE_CALLBACK_HPP

#include "handle.hpp"
#include "span.hpp"
#include "weights.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <type_traits>
#include <vector>

DFMERGE_NAMESPACE_BEGIN

/** The candidate that an evaluation callback scores; it has just been written into the target. */
struct trial {
    /** Its number, from 0. */
    std::int64_t number;
    /** One coefficient per model; with the option groups one per model and group, all groups of
     * the first model first. Valid during the callback. */
    span<const double> coefficients;
    /** How many scores are expected. */
    std::int64_t tasks;
};

/** What a progress callback hears. */
struct progress {
    /** "trial", "fisher" or "merge". Valid during the callback. */
    std::string_view phase;
    /** Units that are done. */
    std::int64_t done;
    /** Units in all. */
    std::int64_t total;
    /** The best score so far, NaN before there is one. */
    double best;
};

/** What an evaluation callback answers; larger scores are better. Made by conversion from what is
 * natural: a double for one task, a vector or array for several, std::nullopt (or an empty
 * optional) for a trial that failed, or a result whose error stops the run. */
class evaluation {
public:
    /** One score. */
    evaluation(double score) : scores_{score} {}
    /** One score per task. */
    evaluation(std::initializer_list<double> scores) : scores_(scores) {}
    /** One score per task. */
    evaluation(std::vector<double> scores) noexcept : scores_(std::move(scores)) {}
    /** One score per task: an array or a span of doubles. */
    template <class C, class = std::enable_if_t<detail::is_viewable<const C, const double>::value &&
                                                !std::is_same_v<C, std::vector<double>>>>
    evaluation(const C &scores)
        : scores_(std::data(scores), std::data(scores) + std::size(scores)) {}
    /** A trial that failed: the search records that and goes on. */
    evaluation(std::nullopt_t) noexcept : answer_(DFM_CALLBACK_TRIAL_FAILED) {}
    /** The scores, or a trial that failed. */
    template <class T>
    evaluation(std::optional<T> scores)
        : evaluation(scores ? evaluation(*std::move(scores)) : evaluation(std::nullopt)) {}
    /** The scores, or the error that stops the run and that the run then returns. */
    template <class T>
    evaluation(result<T> scores)
        : evaluation(scores ? evaluation(*std::move(scores)) : evaluation(scores.error())) {}
    /** An error that stops the run and that the run then returns. */
    evaluation(dfmerge::error failure) : answer_(DFM_CALLBACK_STOP), failure_(std::move(failure)) {}
    /** Yes or no is no score. */
    template <class B, class = std::enable_if_t<std::is_same_v<B, bool>>> evaluation(B) = delete;

    /** A trial that failed: the search records that and goes on. */
    static evaluation failed() { return std::nullopt; }
    /** Stops the run, which then fails with status::callback_failed. */
    static evaluation stop() {
        evaluation answer(std::nullopt);
        answer.answer_ = DFM_CALLBACK_STOP;
        return answer;
    }

    /** The same with the variance of each score, NaN where it is not known. */
    evaluation &&with_variances(std::vector<double> variances) && noexcept {
        variances_ = std::move(variances);
        return std::move(*this);
    }

    /** The scores, empty for a trial that failed. */
    const std::vector<double> &scores() const noexcept { return scores_; }
    /** The variances, empty where none is known. */
    const std::vector<double> &variances() const noexcept { return variances_; }
    /** One of DFM_CALLBACK_*. */
    std::int32_t answer() const noexcept { return answer_; }
    /** The error that stops the run, if there is one. */
    const std::optional<dfmerge::error> &failure() const noexcept { return failure_; }

private:
    std::vector<double> scores_;
    std::vector<double> variances_;
    std::int32_t answer_ = DFM_CALLBACK_OK;
    std::optional<dfmerge::error> failure_;
};

/** The Fisher values that a Fisher callback is asked for; for use during that callback only.
 *
 * The diagonal Fisher of a model is the mean over samples of the squared gradient of the log
 * likelihood, at the weights that have just been written into the target. */
class fisher {
public:
    /** Made by the search. */
    fisher(dfm_fisher *handle, std::int64_t model, double coefficient) noexcept
        : handle_(handle), model_(model), coefficient_(coefficient) {}
    fisher(const fisher &) = delete;
    fisher &operator=(const fisher &) = delete;

    /** Whose Fisher values: the model's place in the list that the search was made with. */
    std::int64_t model() const noexcept { return model_; }
    /** The target holds base + coefficient * (model - base); NaN where the groups of the option
     * groups stand at different ones. */
    double coefficient() const noexcept { return coefficient_; }

    /** One tensor's values, as many as it has elements, preset to 0; they must end up finite and 0
     * or more. Fails with missing_tensor for a name that is not merged. */
    result<span<float>> try_data(const cstring &name) {
        DFMERGE_TRY(detail::check_text(name, "name"));
        float *values = nullptr;
        std::int64_t count = 0;
        DFMERGE_TRY(detail::checked(dfm_fisher_data(handle_, name.c_str(), &values, &count)));
        return span<float>(values, static_cast<std::size_t>(count));
    }

    /** Adds weight * g * g, for the gradient of ONE sample: the square of a batch's summed
     * gradient is no Fisher value. `weight` is 1/n for a mean over n samples. The gradient is a
     * vector, array or span of double, float, f16 or bf16. */
    template <class C>
    result<void> try_accumulate(const cstring &name, const C &gradient, double weight) {
        return try_accumulate(name, dtype_v<detail::element_t<const C>>, std::data(gradient),
                              std::size(gradient), weight);
    }
    /** The same, for memory without a C++ type: `count` contiguous elements. */
    result<void> try_accumulate(const cstring &name, dtype type, const void *gradient,
                                std::size_t count, double weight) {
        DFMERGE_TRY(detail::check_text(name, "name"));
        return detail::checked(dfm_fisher_accumulate(handle_, name.c_str(),
                                                     static_cast<std::int32_t>(type), gradient,
                                                     static_cast<std::int64_t>(count), weight));
    }

    /** One tensor's values as a DLPack structure of one axis, writable, without a copy; `major` as
     * for weights::try_dlpack(). Values count where they are written before the callback returns;
     * the memory stays until the deleter is called. */
    result<void *> try_dlpack(const cstring &name, std::int32_t major = 1) {
        DFMERGE_TRY(detail::check_text(name, "name"));
        void *structure = nullptr;
        DFMERGE_TRY(detail::checked(
            dfm_fisher_dlpack(handle_, name.c_str(), nullptr, 0, major, &structure)));
        return structure;
    }

#if DFMERGE_EXCEPTIONS
    /** The same as try_dlpack(), throwing. */
    void *dlpack(const cstring &name, std::int32_t major = 1) {
        return try_dlpack(name, major).value();
    }
    /** The same as try_data(), throwing. */
    span<float> data(const cstring &name) { return try_data(name).value(); }
    /** The same as try_accumulate(), throwing. */
    template <class C> void accumulate(const cstring &name, const C &gradient, double weight) {
        try_accumulate(name, gradient, weight).value();
    }
    /** The same as try_accumulate(), throwing. */
    void accumulate(const cstring &name, dtype type, const void *gradient, std::size_t count,
                    double weight) {
        try_accumulate(name, type, gradient, count, weight).value();
    }
#endif

    /** The C handle. */
    dfm_fisher *native() const noexcept { return handle_; }

private:
    dfm_fisher *handle_;
    std::int64_t model_;
    double coefficient_;
};

namespace detail {

/** A callable of any kind behind one pointer; unlike std::function it need not be copyable. */
template <class Argument> class callable {
public:
    virtual ~callable() = default;
    virtual std::int32_t call(Argument argument, std::optional<error> &failure) = 0;
};

template <class F> bool is_empty(const F &f) noexcept {
    if constexpr (std::is_pointer_v<F> || std::is_same_v<F, std::nullptr_t>) return f == nullptr;
    else return static_cast<void>(f), false;
}
template <class Signature> bool is_empty(const std::function<Signature> &f) noexcept { return !f; }

/** What a callback that answers with nothing, a bool or a result means to the library. */
template <class F, class... Arguments>
std::int32_t go_on(std::optional<error> &failure, F &f, Arguments &&...arguments) {
    using R = std::invoke_result_t<F &, Arguments...>;
    if constexpr (std::is_void_v<R>) {
        std::invoke(f, std::forward<Arguments>(arguments)...);
        return DFM_CALLBACK_OK;
    } else if constexpr (std::is_same_v<std::decay_t<R>, bool>) {
        const bool goes_on = std::invoke(f, std::forward<Arguments>(arguments)...);
        return goes_on ? DFM_CALLBACK_OK : DFM_CALLBACK_STOP;
    } else {
        static_assert(std::is_same_v<std::decay_t<R>, result<void>>,
                      "this callback returns nothing, bool (false stops) or dfmerge::result<void>");
        auto outcome = std::invoke(f, std::forward<Arguments>(arguments)...);
        if (outcome) return DFM_CALLBACK_OK;
        failure = outcome.error();
        return DFM_CALLBACK_STOP;
    }
}

template <class F> class fisher_callable final : public callable<fisher &> {
public:
    explicit fisher_callable(F f) : f_(std::move(f)) {}
    std::int32_t call(fisher &values, std::optional<error> &failure) override {
        return go_on(failure, f_, values);
    }

private:
    F f_;
};

template <class F> class progress_callable final : public callable<const progress &> {
public:
    explicit progress_callable(F f) : f_(std::move(f)) {}
    std::int32_t call(const progress &event, std::optional<error> &failure) override {
        return go_on(failure, f_, event);
    }

private:
    F f_;
};

/** A trial and where its scores go. */
struct evaluation_request {
    const trial &candidate;
    span<double> scores;
    span<double> variances;
};

inline std::int32_t deliver(const evaluation &answer, const evaluation_request &request,
                            std::optional<error> &failure) {
    if (answer.answer() != DFM_CALLBACK_OK) {
        failure = answer.failure();
        return answer.answer();
    }
    const auto wrong = [&](const char *what, std::size_t number) {
        failure = error(status::invalid_argument,
                        "The evaluation callback returned " + std::to_string(number) + what +
                            "; the search has " + std::to_string(request.scores.size()) +
                            " tasks, see the option tasks. Return one for each.");
        return DFM_CALLBACK_STOP;
    };
    if (answer.scores().size() != request.scores.size())
        return wrong(" scores", answer.scores().size());
    if (!answer.variances().empty() && answer.variances().size() != request.variances.size())
        return wrong(" variances", answer.variances().size());
    std::copy(answer.scores().begin(), answer.scores().end(), request.scores.begin());
    std::copy(answer.variances().begin(), answer.variances().end(), request.variances.begin());
    return DFM_CALLBACK_OK;
}

template <class F> class evaluation_callable final : public callable<const evaluation_request &> {
public:
    explicit evaluation_callable(F f) : f_(std::move(f)) {}
    std::int32_t call(const evaluation_request &request, std::optional<error> &failure) override {
        if constexpr (std::is_invocable_v<F &, const trial &>)
            return deliver(std::invoke(f_, request.candidate), request, failure);
        else return deliver(std::invoke(f_), request, failure);
    }

private:
    F f_;
};

/** A callable of type `Callable<F>`, or the refusal of an empty one. */
template <class Argument, template <class> class Callable, class F>
result<std::unique_ptr<callable<Argument>>> erase(F &&f, const char *which) {
    if (is_empty(f))
        return error(status::null_pointer,
                     "The " + std::string(which) + " callback is empty; pass something to call.");
    return std::unique_ptr<callable<Argument>>(new Callable<std::decay_t<F>>(std::forward<F>(f)));
}

/** Why the callbacks of one call stopped it. */
struct stop_reason {
    std::exception_ptr thrown;
    std::optional<error> failure;

    /** The outcome of a call: what a callback left behind comes before the library's own error. */
    result<void> outcome(dfm_status code) const {
        if (thrown) return error(status::callback_failed, "A callback threw an exception.", thrown);
        if (failure) return *failure;
        return checked(code);
    }

    /** Calls back into C++. Nothing leaves it but an answer: there are C frames above. */
    template <class Argument>
    std::int32_t ask(callable<Argument> &callback, Argument argument) noexcept {
#if DFMERGE_EXCEPTIONS
        try {
            return callback.call(argument, failure);
        } catch (...) {
            if (!thrown) thrown = std::current_exception();
            return DFM_CALLBACK_STOP;
        }
#else
        return callback.call(argument, failure);
#endif
    }
};

} // namespace detail

DFMERGE_NAMESPACE_END

#endif
