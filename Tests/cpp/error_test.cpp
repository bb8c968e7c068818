// Errors, results, spans, the version handshake.
#include "problem.hpp"

#include <doctest/doctest.h>

#include <array>
#include <memory>
#include <type_traits>
#if __cplusplus >= 202002L
#include <span>
#endif

static_assert(std::is_nothrow_copy_constructible_v<dfmerge::error>);
static_assert(!std::is_copy_constructible_v<dfmerge::weights>);
static_assert(!std::is_copy_constructible_v<dfmerge::search>);
static_assert(!std::is_copy_constructible_v<dfmerge::optimizer>);
static_assert(!std::is_copy_constructible_v<dfmerge::cancel_flag>);
static_assert(std::is_nothrow_move_constructible_v<dfmerge::weights>);
static_assert(std::is_nothrow_move_constructible_v<dfmerge::search>);
static_assert(std::is_nothrow_move_assignable_v<dfmerge::optimizer>);
static_assert(std::is_base_of_v<std::runtime_error, dfmerge::io_error>);

// Memory that must not be written is not lent as writable, and lent vectors are no temporaries.
static_assert(std::is_convertible_v<std::vector<float> &, dfmerge::span<float>>);
static_assert(!std::is_convertible_v<const std::vector<float> &, dfmerge::span<float>>);
static_assert(std::is_convertible_v<dfmerge::span<float>, dfmerge::span<const float>>);
static_assert(!std::is_convertible_v<dfmerge::span<const float>, dfmerge::span<float>>);
static_assert(!std::is_convertible_v<std::vector<double>, dfmerge::span<const float>>);

TEST_CASE("an error has number, name, kind and message, and is thrown as its kind") {
    const auto opened = dfmerge::weights::try_open("/nowhere/model.safetensors");
    REQUIRE_FALSE(opened);
    CHECK(opened.error().code() == dfmerge::status::file_not_found);
    CHECK(opened.error().kind() == dfmerge::error_kind::io);
    CHECK(std::string(opened.error().name()) == "file_not_found");
    CHECK(contains(opened.error().what(), "/nowhere/model.safetensors"));
    CHECK(opened.error().cause() == nullptr);

    CHECK_THROWS_AS(dfmerge::weights::open("/nowhere/x"), dfmerge::io_error);
    CHECK_THROWS_AS(dfmerge::weights::open("/nowhere/x"), dfmerge::error);
    CHECK_THROWS_AS(dfmerge::weights::open("/nowhere/x"), std::runtime_error);
    CHECK_THROWS_AS(dfmerge::weights::open(""), dfmerge::error);
}

TEST_CASE("every kind is thrown as its own class, and unknown numbers as their hundreds") {
    using dfmerge::status;
    const auto raised = [](int code) { dfmerge::error(static_cast<status>(code), "x").raise(); };
    CHECK_THROWS_AS(raised(100), dfmerge::argument_error);
    CHECK_THROWS_AS(raised(199), dfmerge::argument_error);
    CHECK_THROWS_AS(raised(302), dfmerge::format_error);
    CHECK_THROWS_AS(raised(402), dfmerge::numerical_error);
    CHECK_THROWS_AS(raised(500), dfmerge::resource_error);
    CHECK_THROWS_AS(raised(600), dfmerge::stopped_error);
    for (const int code : {900, 7, 801, -1, 1000}) {
        const dfmerge::error strange(static_cast<status>(code), "x");
        CHECK(strange.kind() == dfmerge::error_kind::internal);
        CHECK_THROWS_AS(strange.raise(), dfmerge::error);
    }
    CHECK(std::string(dfmerge::error(static_cast<status>(7), "x").name()) == "unknown");
}

TEST_CASE("a result holds a value or an error") {
    dfmerge::result<std::string> good(std::string("text"));
    CHECK(good);
    CHECK(good.has_value());
    CHECK(*good == "text");
    CHECK(good->size() == 4);
    CHECK(good.value_or("other") == "text");
    CHECK(std::move(good).value() == "text");

    const dfmerge::result<std::string> bad(dfmerge::error(dfmerge::status::unsupported, "no"));
    CHECK_FALSE(bad);
    CHECK(bad.value_or("other") == "other");
    CHECK_THROWS_WITH_AS(bad.value(), "no", dfmerge::format_error);

    dfmerge::result<std::unique_ptr<int>> moved(std::make_unique<int>(3));
    const std::unique_ptr<int> out = *std::move(moved);
    CHECK(*out == 3);
    CHECK_NOTHROW(dfmerge::result<void>().value());
}

TEST_CASE("the library is the one of the header") {
    CHECK(std::string(dfmerge::version()) == DFM_VERSION);
    CHECK(dfmerge::abi_version() == DFM_ABI_VERSION);
    CHECK_NOTHROW(dfmerge::check_abi());
}

TEST_CASE("spans of everything that has elements in a row") {
    std::vector<double> vector = {1, 2, 3};
    const std::array<double, 2> array = {4, 5};
    double plain[] = {6};
    const auto sum = [](dfmerge::span<const double> values) {
        double total = 0;
        for (const double value : values) total += value;
        return total;
    };
    CHECK(sum(vector) == 6);
    CHECK(sum(array) == 9);
    CHECK(sum(plain) == 6);
    CHECK(sum({1, 2}) == 3);
    CHECK(sum({}) == 0);
    CHECK(sum({vector.data(), 2}) == 3);
    CHECK(sum(dfmerge::span(vector).subspan(1, 2)) == 5);
    dfmerge::span<double> writable(vector);
    writable[0] = 10;
    CHECK(vector[0] == 10);
    CHECK(writable.size_bytes() == 24);
#if __cplusplus >= 202002L
    const std::span<double> standard = writable;
    CHECK(standard.size() == 3);
    CHECK(sum(standard) == 15);
#endif
}
