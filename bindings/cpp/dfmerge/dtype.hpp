/** \file
 * Element types of tensors, and which C++ type has which.
 */
#ifndef DFMERGE_DTYPE_HPP
#define DFMERGE_DTYPE_HPP

#include "config.hpp"

#include <complex>
#include <cstdint>
#include <cstring>
#include <type_traits>
#if __has_include(<stdfloat>) && __cplusplus > 202002L
#include <stdfloat>
#endif

DFMERGE_NAMESPACE_BEGIN

/** Element types: the DFM_DTYPE_* numbers. f64, f32, f16 and bf16 are merged, others copied. */
enum class dtype : std::int32_t {
    f64 = DFM_DTYPE_F64,
    f32 = DFM_DTYPE_F32,
    f16 = DFM_DTYPE_F16,
    bf16 = DFM_DTYPE_BF16,
    i64 = DFM_DTYPE_I64,
    i32 = DFM_DTYPE_I32,
    i16 = DFM_DTYPE_I16,
    i8 = DFM_DTYPE_I8,
    u64 = DFM_DTYPE_U64,
    u32 = DFM_DTYPE_U32,
    u16 = DFM_DTYPE_U16,
    u8 = DFM_DTYPE_U8,
    boolean = DFM_DTYPE_BOOL,
    c64 = DFM_DTYPE_C64,
    f8_e4m3 = DFM_DTYPE_F8_E4M3,
    f8_e5m2 = DFM_DTYPE_F8_E5M2,
    f8_e8m0 = DFM_DTYPE_F8_E8M0,
    f8_e4m3fnuz = DFM_DTYPE_F8_E4M3FNUZ,
    f8_e5m2fnuz = DFM_DTYPE_F8_E5M2FNUZ,
    f6_e2m3 = DFM_DTYPE_F6_E2M3,
    f6_e3m2 = DFM_DTYPE_F6_E3M2,
    f4 = DFM_DTYPE_F4
};

/** The bits of an IEEE half-precision number, for memory that holds such. No arithmetic. */
struct f16 {
    std::uint16_t bits; /**< sign, 5 bits of exponent, 10 of mantissa */
};

/** The bits of a bfloat16 number: the upper half of a float. No arithmetic. */
struct bf16 {
    std::uint16_t bits; /**< sign, 8 bits of exponent, 7 of mantissa */

    /** The nearest bfloat16, ties to even; NaN stays NaN. */
    static bf16 from_float(float value) noexcept {
        std::uint32_t all = 0;
        std::memcpy(&all, &value, sizeof all);
        const bool is_nan = (all & 0x7FFFFFFFU) > 0x7F800000U;
        all = is_nan ? all | 0x00400000U : all + 0x7FFFU + ((all >> 16) & 1U);
        return {static_cast<std::uint16_t>(all >> 16)};
    }

    /** The same value as a float, exactly. */
    float to_float() const noexcept {
        const std::uint32_t all = static_cast<std::uint32_t>(bits) << 16;
        float value = 0;
        std::memcpy(&value, &all, sizeof value);
        return value;
    }
};

namespace detail {

/** Plain char is left out: it is text as often as it is numbers. */
template <class T>
inline constexpr bool is_number_v =
    std::is_integral_v<T> && !std::is_same_v<T, bool> && !std::is_same_v<T, char> &&
    !std::is_same_v<T, wchar_t> && !std::is_same_v<T, char16_t> && !std::is_same_v<T, char32_t>;

template <class T> constexpr dtype integer_dtype() {
    static_assert(sizeof(T) == 1 || sizeof(T) == 2 || sizeof(T) == 4 || sizeof(T) == 8);
    constexpr bool is_signed = std::is_signed_v<T>;
    switch (sizeof(T)) {
    case 1: return is_signed ? dtype::i8 : dtype::u8;
    case 2: return is_signed ? dtype::i16 : dtype::u16;
    case 4: return is_signed ? dtype::i32 : dtype::u32;
    default: return is_signed ? dtype::i64 : dtype::u64;
    }
}

} // namespace detail

/** The element type of a C++ type, in `value`. Specialise it for types of your own, such as
 * another library's bfloat16, that are stored like one of dtype. */
template <class T, class = void> struct dtype_of {};
/** Integers of 1, 2, 4 and 8 bytes, but for character types. */
template <class T> struct dtype_of<T, std::enable_if_t<detail::is_number_v<T>>> {
    /** The element type. */
    static constexpr dtype value = detail::integer_dtype<T>();
};
/** double is f64. */
template <> struct dtype_of<double> {
    static constexpr dtype value = dtype::f64;
};
/** float is f32. */
template <> struct dtype_of<float> {
    static constexpr dtype value = dtype::f32;
};
/** dfmerge::f16. */
template <> struct dtype_of<f16> {
    static constexpr dtype value = dtype::f16;
};
/** dfmerge::bf16. */
template <> struct dtype_of<bf16> {
    static constexpr dtype value = dtype::bf16;
};
/** bool, which takes a byte. */
template <> struct dtype_of<bool> {
    static constexpr dtype value = dtype::boolean;
};
/** Complex numbers of two floats. */
template <> struct dtype_of<std::complex<float>> {
    static constexpr dtype value = dtype::c64;
};
#ifdef __STDCPP_FLOAT16_T__
/** std::float16_t of C++23. */
template <> struct dtype_of<std::float16_t> {
    static constexpr dtype value = dtype::f16;
};
#endif
#ifdef __STDCPP_BFLOAT16_T__
/** std::bfloat16_t of C++23. */
template <> struct dtype_of<std::bfloat16_t> {
    static constexpr dtype value = dtype::bf16;
};
#endif

static_assert(sizeof(f16) == 2 && sizeof(bf16) == 2 && sizeof(bool) == 1);

namespace detail {

template <class T, class = void> struct has_dtype : std::false_type {};
template <class T>
struct has_dtype<T, std::void_t<decltype(dtype_of<std::remove_cv_t<T>>::value)>> : std::true_type {
};

} // namespace detail

/** The element type of a C++ type. */
template <class T> inline constexpr dtype dtype_v = dtype_of<std::remove_cv_t<T>>::value;

DFMERGE_NAMESPACE_END

#endif
