/** \file
 * optimizer: Bayesian optimisation of parameters of the program's own, by ask and tell.
 */
#ifndef DFMERGE_OPTIMIZER_HPP
#define DFMERGE_OPTIMIZER_HPP

#include "json.hpp"
#include "span.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

DFMERGE_NAMESPACE_BEGIN

/** The options of an optimizer as JSON: name, type, range, default, summary. */
inline result<std::string> try_optimizer_options() {
    return detail::description(dfm_optimizer_options_describe);
}

/** A point that an optimizer asks to evaluate. */
struct suggestion {
    /** By which it is told. */
    std::int64_t number;
    /** The values of the parameters, in their order. */
    std::vector<double> point;
};

/** What an optimizer expects at a point, noise excluded. */
struct prediction {
    /** Posterior mean of the score. */
    double mean;
    /** Posterior standard deviation of the score. */
    double sd;
};

/** A Bayesian optimizer over named parameters. Scores are maximised. Move-only; any number of
 * threads may use it at once, its calls are carried out one after the other. */
class optimizer {
public:
    /** An optimizer. The options have "parameters", a list of {"name", "low", "high"}:
     *
     *     dfmerge::options{{"parameters", {dfmerge::options{{"name", "rate"}, {"low", 0},
     *                                                       {"high", 1}}}}}
     *
     * `journal` is the path of a file that is made or continued, and locked until the optimizer is
     * gone; nullptr for none. */
    static dfmerge::result<optimizer> try_create(const dfmerge::options &options,
                                                 const cstring &journal = nullptr) {
        DFMERGE_TRY(try_check_abi());
        DFMERGE_TRY(options.check("options"));
        DFMERGE_TRY(detail::check_text(journal, "journal"));
        dfm_optimizer *raw = nullptr;
        DFMERGE_TRY(
            detail::checked(dfm_optimizer_create(options.text().c_str(), journal.c_str(), &raw)));
        return try_adopt(raw);
    }

    /** The number of parameters. */
    std::size_t dimension() const noexcept { return dimension_; }

    /** Asks for a point to evaluate. It stays out until it is told or withdrawn. */
    dfmerge::result<suggestion> try_ask() {
        auto asked = try_ask(1);
        if (!asked) return asked.error();
        return std::move(asked->front());
    }
    /** Asks for points to evaluate side by side, 1 to 10000 of them. */
    dfmerge::result<std::vector<suggestion>> try_ask(std::int64_t count) {
        // The library checks the count as well; the room has to be made first.
        if (count < 1 || count > 10000)
            return error(status::invalid_argument,
                         "'count' is " + std::to_string(count) + "; ask for 1 to 10000 points.");
        const auto size = static_cast<std::size_t>(count);
        std::vector<double> points(size * dimension_);
        std::vector<std::int64_t> numbers(size);
        DFMERGE_TRY(
            detail::checked(dfm_optimizer_ask(native(), count, points.data(), numbers.data())));
        std::vector<suggestion> asked;
        asked.reserve(size);
        for (std::size_t i = 0; i < size; i++) {
            const double *first = points.data() + i * dimension_;
            asked.push_back({numbers[i], std::vector<double>(first, first + dimension_)});
        }
        return asked;
    }

    /** Tells the scores of a point, one per task; one that is not finite marks it as failed.
     * `variances` is the noise variance of each, NaN where it is not known; empty for none. */
    dfmerge::result<void> try_tell(std::int64_t number, span<const double> scores,
                                   span<const double> variances = {}) {
        DFMERGE_TRY(check_variances(scores, variances));
        return detail::checked(dfm_optimizer_tell(native(), number, scores.data(),
                                                  variances.empty() ? nullptr : variances.data(),
                                                  length(scores)));
    }
    /** Tells the score of a point, where there is one task. */
    dfmerge::result<void> try_tell(std::int64_t number, double score) {
        return try_tell(number, span<const double>(&score, 1));
    }
    /** Tells the scores of a first stage, for the option subset_share, and learns whether to
     * evaluate the rest and tell() the whole (true) or whether the trial is settled (false). */
    dfmerge::result<bool> try_tell_subset(std::int64_t number, span<const double> scores) {
        std::int32_t worth = 0;
        DFMERGE_TRY(detail::checked(
            dfm_optimizer_tell_subset(native(), number, scores.data(), length(scores), &worth)));
        return worth != 0;
    }
    /** Tells that the evaluation failed: it counts as the lowest score. `reason` is for the record,
     * nullptr for none. */
    dfmerge::result<void> try_tell_failed(std::int64_t number, const cstring &reason = nullptr) {
        DFMERGE_TRY(detail::check_text(reason, "reason"));
        return detail::checked(dfm_optimizer_tell_failed(native(), number, reason.c_str()));
    }
    /** Takes back a point that is out: its worker died. */
    dfmerge::result<void> try_withdraw(std::int64_t number) {
        return detail::checked(dfm_optimizer_withdraw(native(), number));
    }

    /** Gives points, one after the other in `points`, that are to be asked for before anything
     * else. Those that are told or out already are skipped, unless `repeats`. */
    dfmerge::result<void> try_enqueue(span<const double> points, bool repeats = false) {
        const auto count = point_count(points);
        if (!count) return count.error();
        return detail::checked(
            dfm_optimizer_enqueue(native(), points.data(), *count, parameters(), repeats ? 1 : 0));
    }
    /** Adds what is known of a point from elsewhere; it counts as a trial, whose number comes
     * back. Scores are finite; variances as in try_tell(). */
    dfmerge::result<std::int64_t> try_observe(span<const double> point, span<const double> scores,
                                              span<const double> variances = {}) {
        DFMERGE_TRY(check_variances(scores, variances));
        std::int64_t number = 0;
        DFMERGE_TRY(detail::checked(dfm_optimizer_observe(
            native(), point.data(), length(point), scores.data(),
            variances.empty() ? nullptr : variances.data(), length(scores), &number)));
        return number;
    }
    /** What is expected at points, one after the other in `points`. */
    dfmerge::result<std::vector<prediction>> try_predict(span<const double> points) const {
        const auto count = point_count(points);
        if (!count) return count.error();
        // Room for one more: the library takes no null, even for no points.
        const auto size = static_cast<std::size_t>(*count);
        std::vector<double> means(size + 1);
        std::vector<double> sds(size + 1);
        DFMERGE_TRY(detail::checked(dfm_optimizer_predict(native(), points.data(), *count,
                                                          parameters(), means.data(), sds.data())));
        std::vector<prediction> expected(size);
        for (std::size_t i = 0; i < size; i++) expected[i] = {means[i], sds[i]};
        return expected;
    }

    /** Why a loop should end: "trials", "time", "target" or "improvement"; empty to go on. */
    dfmerge::result<std::string> try_stop_reason() const { return text(dfm_optimizer_stop_reason); }
    /** The chosen point as JSON, "null" while no trial has a score: see dfm_optimizer_best. */
    dfmerge::result<std::string> try_best() const { return text(dfm_optimizer_best); }
    /** Every trial as JSON; fits no model. */
    dfmerge::result<std::string> try_trials() const { return text(dfm_optimizer_trials); }
    /** All that is known as JSON: see dfm_optimizer_result. */
    dfmerge::result<std::string> try_result() const { return text(dfm_optimizer_result); }

#if DFMERGE_EXCEPTIONS
    /** The same as try_create(), throwing. */
    explicit optimizer(const dfmerge::options &options, const cstring &journal = nullptr)
        : optimizer(try_create(options, journal).value()) {}
    /** The same as try_ask(), throwing. */
    suggestion ask() { return try_ask().value(); }
    /** The same as try_ask(), throwing. */
    std::vector<suggestion> ask(std::int64_t count) { return try_ask(count).value(); }
    /** The same as try_tell(), throwing. */
    void tell(std::int64_t number, span<const double> scores, span<const double> variances = {}) {
        try_tell(number, scores, variances).value();
    }
    /** The same as try_tell(), throwing. */
    void tell(std::int64_t number, double score) { try_tell(number, score).value(); }
    /** The same as try_tell_subset(), throwing. */
    bool tell_subset(std::int64_t number, span<const double> scores) {
        return try_tell_subset(number, scores).value();
    }
    /** The same as try_tell_failed(), throwing. */
    void tell_failed(std::int64_t number, const cstring &reason = nullptr) {
        try_tell_failed(number, reason).value();
    }
    /** The same as try_withdraw(), throwing. */
    void withdraw(std::int64_t number) { try_withdraw(number).value(); }
    /** The same as try_enqueue(), throwing. */
    void enqueue(span<const double> points, bool repeats = false) {
        try_enqueue(points, repeats).value();
    }
    /** The same as try_observe(), throwing. */
    std::int64_t observe(span<const double> point, span<const double> scores,
                         span<const double> variances = {}) {
        return try_observe(point, scores, variances).value();
    }
    /** The same as try_predict(), throwing. */
    std::vector<prediction> predict(span<const double> points) const {
        return try_predict(points).value();
    }
    /** The same as try_stop_reason(), throwing. */
    std::string stop_reason() const { return try_stop_reason().value(); }
    /** The same as try_best(), throwing. */
    std::string best() const { return try_best().value(); }
    /** The same as try_trials(), throwing. */
    std::string trials() const { return try_trials().value(); }
    /** The same as try_result(), throwing. */
    std::string result() const { return try_result().value(); }
#endif

    /** The C handle, which stays this object's; null after a move. */
    dfm_optimizer *native() const noexcept { return handle_.get(); }
    /** Takes over a C handle, which dfm_optimizer_free would free; it is freed after an error. */
    static dfmerge::result<optimizer> try_adopt(dfm_optimizer *handle) {
        optimizer adopted(handle);
        DFMERGE_TRY(adopted.learn_dimension());
        return adopted;
    }

private:
    explicit optimizer(dfm_optimizer *handle) noexcept : handle_(handle) {}

    /** No function tells the number of parameters, but each refuses a wrong one: predicting at no
     * points does nothing else, and costs less than a microsecond. */
    dfmerge::result<void> learn_dimension() {
        constexpr std::int64_t most = 1 << 20;
        double mean = 0;
        double sd = 0;
        for (std::int64_t size = 1;; size++) {
            const dfm_status code = dfm_optimizer_predict(native(), nullptr, 0, size, &mean, &sd);
            if (code == DFM_OK) {
                dimension_ = static_cast<std::size_t>(size);
                return {};
            }
            if (code != DFM_ERROR_INVALID_ARGUMENT || size == most) return detail::last_error(code);
        }
    }
    static std::int64_t length(span<const double> values) noexcept {
        return static_cast<std::int64_t>(values.size());
    }
    std::int64_t parameters() const noexcept { return static_cast<std::int64_t>(dimension_); }
    dfmerge::result<std::int64_t> point_count(span<const double> points) const {
        if (dimension_ == 0 || points.size() % dimension_ == 0)
            return dimension_ == 0 ? 0 : length(points) / parameters();
        return error(status::invalid_argument,
                     "'points' has " + std::to_string(points.size()) +
                         " values, no multiple of the " + std::to_string(dimension_) +
                         " parameters; give every value of each point, one point after the other.");
    }
    static dfmerge::result<void> check_variances(span<const double> scores,
                                                 span<const double> variances) {
        if (variances.empty() || variances.size() == scores.size()) return {};
        return error(status::invalid_argument,
                     "There are " + std::to_string(variances.size()) + " variances for " +
                         std::to_string(scores.size()) + " scores; give one for each, or none.");
    }
    dfmerge::result<std::string> text(dfm_status (*function)(dfm_optimizer *, dfm_text **)) const {
        return detail::text_of([&](dfm_text **out) { return function(native(), out); });
    }

    std::size_t dimension_ = 0;
    detail::owned<dfm_optimizer, dfm_optimizer_free> handle_;
};

#if DFMERGE_EXCEPTIONS
/** The same as try_optimizer_options(), throwing. */
inline std::string optimizer_options() { return try_optimizer_options().value(); }
#endif

DFMERGE_NAMESPACE_END

#endif
