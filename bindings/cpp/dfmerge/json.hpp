/** \file
 * options: JSON text for the library's options, built from C++ values. It writes JSON only; to
 * read what the library returns, use the JSON library of your choice.
 */
#ifndef DFMERGE_JSON_HPP
#define DFMERGE_JSON_HPP

#include "dtype.hpp"
#include "handle.hpp"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

DFMERGE_NAMESPACE_BEGIN

class options;

namespace detail {

inline void append_json_text(std::string &out, std::string_view text) {
    static constexpr char digits[] = "0123456789abcdef";
    out += '"';
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += {'\\', c};
        } else if (byte < 0x20) {
            out += {'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]};
        } else {
            out += c;
        }
    }
    out += '"';
}

/** The shortest text that reads back as `value`, whatever the decimal point of the locale. */
inline std::string json_number(double value) {
    char text[40];
    for (int precision = 15; precision <= 17; precision++) {
        std::snprintf(text, sizeof text, "%.*g", precision, value);
        if (std::strtod(text, nullptr) == value) break;
    }
    std::string number;
    for (const char *c = text; *c != 0; c++) {
        const bool plain = (*c >= '0' && *c <= '9') || *c == '-' || *c == '+' || *c == 'e';
        // A decimal point may take several bytes; they become one.
        if (plain) number += *c;
        else if (number.empty() || number.back() != '.') number += '.';
    }
    return number;
}

template <class T, class = void> struct is_range : std::false_type {};
template <class T>
struct is_range<T, std::void_t<decltype(std::begin(std::declval<const T &>())),
                               decltype(std::end(std::declval<const T &>()))>> : std::true_type {};

template <class T, class = void> struct is_mapping : std::false_type {};
template <class T>
struct is_mapping<T, std::void_t<typename T::mapped_type>>
    : std::is_convertible<const typename T::key_type &, std::string_view> {};

template <class T>
inline constexpr bool is_text_v = std::is_convertible_v<const T &, std::string_view>;

} // namespace detail

/** A JSON value, made by conversion: a number, bool, text, nullptr, a range or braced list of
 * such (an array), a map with text keys or dfmerge::options (an object).
 *
 * A braced list is always an array; write objects as options{{"name", value}, ...}.
 * NaN and infinities have no JSON form: a value with one is refused by the call that gets it. */
class json {
public:
    /** null */
    json(std::nullptr_t) : text_("null") {}
    /** A number, bool, text, range or map. */
    template <class T,
              class = std::enable_if_t<std::is_arithmetic_v<T> || detail::is_text_v<T> ||
                                       (detail::is_range<T>::value && !std::is_same_v<T, json>)>>
    json(const T &value) {
        if constexpr (std::is_same_v<T, bool>) {
            text_ = value ? "true" : "false";
        } else if constexpr (std::is_floating_point_v<T>) {
            add_number(static_cast<double>(value));
        } else if constexpr (std::is_arithmetic_v<T>) {
            static_assert(detail::is_number_v<T>, "a character is no number; pass a text");
            text_ = std::to_string(value);
        } else if constexpr (std::is_pointer_v<T>) {
            if (value == nullptr) problem_ = "a null text";
            else detail::append_json_text(text_, value);
        } else if constexpr (detail::is_text_v<T>) {
            detail::append_json_text(text_, value);
        } else if constexpr (detail::is_mapping<T>::value) {
            text_ = "{";
            for (const auto &[name, member] : value) add_member(name, json(member));
            text_ += '}';
        } else {
            text_ = "[";
            for (const auto &item : value) add_item(json(item));
            text_ += ']';
        }
    }
    /** A value or null. */
    template <class T> json(const std::optional<T> &value) : json(nullptr) {
        if (value) *this = json(*value);
    }
    /** An object. */
    json(const options &object);
    /** An array. */
    json(std::initializer_list<json> items) : text_("[") {
        for (const json &item : items) add_item(item);
        text_ += ']';
    }

    /** JSON text; meaningless where problem() is not empty. */
    const std::string &text() const noexcept { return text_; }
    /** What is wrong with the value, empty if nothing is. */
    const std::string &problem() const noexcept { return problem_; }

private:
    friend class options;
    json() = default;
    void add_number(double value) {
        if (std::isfinite(value)) text_ = detail::json_number(value);
        else problem_ = std::isnan(value) ? "NaN" : value > 0 ? "infinity" : "-infinity";
    }
    void add_item(const json &item) {
        if (text_.size() > 1) text_ += ',';
        text_ += item.text_;
        if (problem_.empty()) problem_ = item.problem_;
    }
    void add_member(std::string_view name, const json &value) {
        if (text_.size() > 1) text_ += ',';
        detail::append_json_text(text_, name);
        text_ += ':';
        text_ += value.text_;
        if (problem_.empty() && !value.problem_.empty())
            problem_ = "the member '" + std::string(name) + "' is " + value.problem_;
    }
    std::string text_;
    std::string problem_;
};

/** Options for the library: a JSON object, from members or as text.
 *
 *     dfmerge::options{{"trials", 30}, {"tasks", {"qa", "code"}}, {"bounds", {0, 1.5}}}
 *     dfmerge::options(R"({"trials": 30})")        // or the dump of any JSON library
 *
 * A text is handed on as it is; the library reads and checks it. */
class options {
public:
    /** A member of the object. */
    struct member {
        /** Its name. */
        std::string name;
        /** Its value. */
        json value;
    };

    /** The empty object: every default. */
    options() : text_("{}") {}
    /** An object of these members, in this order. */
    options(std::initializer_list<member> members) : options() {
        for (const member &each : members) set(each.name, each.value);
    }
    /** An object as JSON text; null and "" stand for the empty object. */
    options(const char *text) : text_(text == nullptr ? "" : text), is_built_(false) {}
    /** An object as JSON text. */
    options(std::string text) : text_(std::move(text)), is_built_(false) {}
    /** An object as JSON text. */
    options(std::string_view text) : text_(text), is_built_(false) {}

    /** Adds a member. Fails, at the call that gets the options, where they were made from text. A
     * name that is there already is refused by the library. */
    options &set(std::string_view name, const json &value) {
        if (!is_built_) {
            problem_ = "the member '" + std::string(name) + "' was added to a text";
            return *this;
        }
        json object;
        object.text_ = std::move(text_);
        object.problem_ = std::move(problem_);
        object.text_.pop_back();
        object.add_member(name, value);
        text_ = std::move(object.text_) + '}';
        problem_ = std::move(object.problem_);
        return *this;
    }

    /** JSON text; meaningless where problem() is not empty. */
    const std::string &text() const noexcept { return text_; }
    /** What is wrong with the options, empty if nothing is. */
    const std::string &problem() const noexcept { return problem_; }

    /** The refusal of options that cannot be written as JSON. */
    result<void> check(const char *argument) const {
        if (!problem_.empty())
            return error(status::invalid_option,
                         "In '" + std::string(argument) + "' " + problem_ +
                             ", which JSON cannot express; pass finite numbers and texts, and add "
                             "members to options that were not made from a text.");
        return detail::check_text(text_, argument);
    }

private:
    std::string text_;
    std::string problem_;
    bool is_built_ = true;
};

inline json::json(const options &object) : text_(object.text()), problem_(object.problem()) {
    if (text_.empty()) text_ = "{}";
}

DFMERGE_NAMESPACE_END

#endif
