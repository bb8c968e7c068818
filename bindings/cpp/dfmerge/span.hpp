/** \file
 * span<T>: a pointer and a number of elements, for C++17.
 */
#ifndef DFMERGE_SPAN_HPP
#define DFMERGE_SPAN_HPP

#include "config.hpp"

#include <cassert>
#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <type_traits>
#include <utility>
#if __cplusplus >= 202002L
#include <ranges>
#endif

DFMERGE_NAMESPACE_BEGIN

template <class T> class span;

namespace detail {

template <class T> struct is_span : std::false_type {};
template <class T> struct is_span<span<T>> : std::true_type {};

/** Element type of what has contiguous elements, as the container gives them out (const or not). */
template <class C>
using element_t = std::remove_pointer_t<decltype(std::data(std::declval<C &>()))>;

template <class C, class T, class = void> struct is_viewable : std::false_type {};
template <class C, class T>
struct is_viewable<C, T, std::void_t<element_t<C>, decltype(std::size(std::declval<C &>()))>>
    : std::is_convertible<element_t<C> (*)[], T (*)[]> {};

} // namespace detail

/** Elements in a row that belong to somebody else; copied like a pointer.
 *
 * Made from a vector, array, std::array, std::span, anything with data() and size(), a pointer and
 * a size, and for const elements from a braced list. It converts to std::span by itself in C++20.
 * It is one type in every language standard, so that parts of a program that are compiled for
 * C++17 and for C++20 may hand it to each other. */
template <class T> class span {
public:
    /** Type of an element, without const. */
    using value_type = std::remove_cv_t<T>;
    /** Type of an element. */
    using element_type = T;
    /** Type of a pointer to an element. */
    using pointer = T *;
    /** Type of an iterator. */
    using iterator = T *;
    /** Type of a number of elements. */
    using size_type = std::size_t;

    /** No elements. */
    constexpr span() noexcept = default;
    /** `size` elements from `data` on; `data` may be null when there are none. */
    constexpr span(T *data, std::size_t size) noexcept : data_(data), size_(size) {}
    /** The elements of a container that stays in place. */
    template <class C, class = std::enable_if_t<!detail::is_span<std::decay_t<C>>::value &&
                                                detail::is_viewable<C, T>::value>>
    constexpr span(C &&container) noexcept
        : data_(std::data(container)), size_(std::size(container)) {}
    /** The same elements, not to be written. */
    template <class U, class = std::enable_if_t<!std::is_same_v<U, T> &&
                                                std::is_convertible_v<U (*)[], T (*)[]>>>
    constexpr span(span<U> other) noexcept : data_(other.data()), size_(other.size()) {}
    /** The elements of a braced list, for the duration of the call that it is an argument of. */
    template <class U = T, class = std::enable_if_t<std::is_const_v<U>>>
    constexpr span(std::initializer_list<value_type> list) noexcept : size_(list.size()) {
        data_ = list.begin();
    }

    /** The first element, or null. */
    constexpr T *data() const noexcept { return data_; }
    /** The number of elements. */
    constexpr std::size_t size() const noexcept { return size_; }
    /** The number of bytes. */
    constexpr std::size_t size_bytes() const noexcept { return size_ * sizeof(T); }
    /** Whether there are no elements. */
    constexpr bool empty() const noexcept { return size_ == 0; }
    /** The first element's iterator. */
    constexpr T *begin() const noexcept { return data_; }
    /** The iterator behind the last element. */
    constexpr T *end() const noexcept { return data_ + size_; }
    /** An element; the index is checked by assert. */
    constexpr T &operator[](std::size_t index) const {
        assert(index < size_);
        return data_[index];
    }
    /** `count` elements from `offset` on; both are checked by assert. */
    constexpr span subspan(std::size_t offset, std::size_t count) const {
        assert(offset <= size_ && count <= size_ - offset);
        return {data_ + offset, count};
    }

private:
    T *data_ = nullptr;
    std::size_t size_ = 0;
};

template <class T, std::size_t N> span(T (&)[N]) -> span<T>;
template <class T> span(T *, std::size_t) -> span<T>;
template <class C> span(C &&) -> span<detail::element_t<C>>;

DFMERGE_NAMESPACE_END

#if __cplusplus >= 202002L
template <class T>
inline constexpr bool std::ranges::enable_borrowed_range<dfmerge::span<T>> = true;
template <class T> inline constexpr bool std::ranges::enable_view<dfmerge::span<T>> = true;
#endif

#endif
