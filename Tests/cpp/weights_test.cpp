// Tensors: lent, in files, of every type and shape; texts that are no names.
#include "problem.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <complex>
#include <filesystem>
#include <limits>

using dfmerge::bf16;
using dfmerge::dtype;
using dfmerge::weights;

static_assert(dfmerge::dtype_v<double> == dtype::f64);
static_assert(dfmerge::dtype_v<const float> == dtype::f32);
static_assert(dfmerge::dtype_v<dfmerge::f16> == dtype::f16);
static_assert(dfmerge::dtype_v<bf16> == dtype::bf16);
static_assert(dfmerge::dtype_v<long long> == dtype::i64);
static_assert(dfmerge::dtype_v<long> == (sizeof(long) == 8 ? dtype::i64 : dtype::i32));
static_assert(dfmerge::dtype_v<short> == dtype::i16);
static_assert(dfmerge::dtype_v<signed char> == dtype::i8);
static_assert(dfmerge::dtype_v<unsigned char> == dtype::u8);
static_assert(dfmerge::dtype_v<std::uint64_t> == dtype::u64);
static_assert(dfmerge::dtype_v<bool> == dtype::boolean);
static_assert(dfmerge::dtype_v<std::complex<float>> == dtype::c64);
static_assert(!dfmerge::detail::has_dtype<char>::value);
static_assert(!dfmerge::detail::has_dtype<long double>::value);
static_assert(!dfmerge::detail::has_dtype<std::string>::value);

namespace other {
/// A type of another library, told to the wrapper below.
struct brain_float {
    std::uint16_t bits;
};
} // namespace other
template <> struct dfmerge::dtype_of<other::brain_float> {
    static constexpr dtype value = dtype::bf16;
};

TEST_CASE("tensors of every shape and several types") {
    std::vector<float> matrix = {1, 2, 3, 4, 5, 6};
    const std::array<std::int64_t, 2> numbers = {7, 8};
    const bf16 half[] = {bf16::from_float(1.5F), bf16::from_float(-2)};
    const double scalar = 3.25;
    const std::vector<float> nothing;
    const std::vector<other::brain_float> foreign = {{0x3F80}};
    const bool flags[] = {true, false, true};
    const int rows = 2;
    const std::size_t columns = 3;

    weights set("mixed");
    set.add("matrix", matrix, {rows, columns});
    set.add("numbers", numbers);
    set.add("half", half, {2, 1});
    set.add("scalar", dfmerge::span<const double>(&scalar, 1), {});
    set.add("empty", nothing, {0, 4});
    set.add("none", nothing);
    set.add("null", dtype::f32, nullptr, 0, {0});
    set.add("foreign", foreign);
    set.add("flags", flags);
    set.add("axes", matrix, std::vector<std::int64_t>{6, 1, 1});

    const std::string text = set.describe();
    CHECK(contains(text, R"("dtype":"F32","name":"matrix","shape":[2,3])"));
    CHECK(contains(text, R"("name":"numbers")"));
    CHECK(contains(text, R"("dtype":"BF16","name":"half")"));
    CHECK(contains(text, R"("name":"scalar","shape":[])"));
    CHECK(contains(text, R"("name":"empty","shape":[0,4])"));
    CHECK(contains(text, R"("dtype":"BF16","name":"foreign")"));
    CHECK(contains(text, R"("dtype":"BOOL","name":"flags")"));

    CHECK(set.data("matrix").size() == 24);
    CHECK(static_cast<const void *>(set.data("matrix").data()) == matrix.data());
    CHECK(set.values<double>("scalar") == std::vector<double>{3.25});
    CHECK(set.values<std::int64_t>("numbers") == std::vector<std::int64_t>{7, 8});
    CHECK(set.values<float>("empty").empty());
    CHECK(set.data("null").empty());
    CHECK(set.values<bf16>("half")[1].to_float() == -2);
    const auto wrong = set.try_values<std::int64_t>("foreign");
    REQUIRE_FALSE(wrong);
    CHECK(wrong.error().code() == dfmerge::status::dtype_mismatch);
}

TEST_CASE("wrong tensors are refused with the library's message") {
    std::vector<float> six(6);
    weights set("set");
    const auto code = [](const auto &outcome) {
        return outcome ? dfmerge::status::ok : outcome.error().code();
    };
    CHECK(code(set.try_add("w", six, {2, 2})) == dfmerge::status::invalid_argument);
    CHECK(code(set.try_add("w", six, {-1})) == dfmerge::status::invalid_argument);
    CHECK(code(set.try_add("w", six, {std::numeric_limits<std::uint64_t>::max()})) ==
          dfmerge::status::invalid_argument);
    CHECK(code(set.try_add("w", six, std::vector<int>(65, 1))) ==
          dfmerge::status::invalid_argument);
    CHECK(code(set.try_add("w", dtype::f32, nullptr, 24, {6})) == dfmerge::status::null_pointer);
    CHECK(code(set.try_add("w", static_cast<dtype>(999), six.data(), 24, {6})) ==
          dfmerge::status::invalid_argument);
    CHECK(code(set.try_add("w", six.data() == nullptr ? dtype::f64 : dtype::f32, six.data(),
                           std::numeric_limits<std::size_t>::max(), {6})) ==
          dfmerge::status::invalid_argument);
    CHECK(code(set.try_data("w")) == dfmerge::status::missing_tensor);
    set.add("w", six);
    const auto twice = set.try_add("w", six);
    CHECK((!twice || code(set.try_describe()) == dfmerge::status::invalid_argument));
}

TEST_CASE("texts with zero bytes, null, not UTF-8 and huge") {
    weights set("set");
    std::vector<float> one(1);
    const std::string zero("a\0b", 3);
    for (const auto &outcome : {set.try_add(zero, one), set.try_add(std::string_view(zero), one)}) {
        REQUIRE_FALSE(outcome);
        CHECK(outcome.error().code() == dfmerge::status::invalid_argument);
        CHECK(contains(outcome.error().what(), "'name' has a zero byte after 'a'"));
    }
    CHECK_FALSE(weights::try_open(zero));
    CHECK_FALSE(weights::try_create(zero));
    CHECK_FALSE(set.try_share(zero));
    CHECK_FALSE(set.try_data(zero));
    CHECK_FALSE(set.try_save(zero));
    CHECK(set.try_add(nullptr, one).error().code() == dfmerge::status::null_pointer);
    CHECK(set.try_add(static_cast<const char *>(nullptr), one).error().code() ==
          dfmerge::status::null_pointer);
    CHECK(set.try_add("\xFF\xFE", one).error().code() == dfmerge::status::invalid_argument);

    const std::string huge(1 << 20, 'n');
    set.add(huge, one);
    CHECK(set.data(huge).size() == 4);
    // A view into the middle of a text has no zero byte at its end.
    set.add(std::string_view("name-and-more").substr(0, 4), one);
    CHECK(set.data("name").size() == 4);
}

TEST_CASE("saved, opened, shared") {
    const scratch folder;
    problem p;
    p.a.save(folder / "a.safetensors", {{"metadata", dfmerge::options{{"made_by", "test"}}}});
    const std::filesystem::path path = folder / "a.safetensors";
    weights opened = weights::open(path);
    CHECK(opened.values<float>("w") == p.first);
    const weights named = opened.share("maths");
    opened = weights("gone");
    CHECK(named.values<float>("w") == p.first);

    CHECK_THROWS_AS(p.a.save(folder / "no/such/a.safetensors"), dfmerge::error);
    CHECK_THROWS_AS(p.a.save(folder / "b.safetensors", {{"shards", 1}}), dfmerge::argument_error);
    CHECK_FALSE(std::filesystem::exists(folder / "b.safetensors"));
    std::vector<float> more(1);
    weights from_file = weights::open(path);
    CHECK(from_file.try_add("x", more).error().code() == dfmerge::status::invalid_state);
    dfmerge::cancel_flag stop;
    stop.request();
    CHECK_THROWS_AS(p.a.save(folder / "c.safetensors", {}, &stop), dfmerge::stopped_error);
    stop.reset();
    CHECK_NOTHROW(p.a.save(folder / "c.safetensors", {}, &stop));
}

TEST_CASE("moved-from handles are refused, and may be used again") {
    std::vector<float> one(1);
    weights first("first");
    weights second = std::move(first);
    second.add("w", one);
    CHECK(first.native() == nullptr);
    CHECK(first.try_add("w", one).error().code() == dfmerge::status::null_pointer);
    CHECK(first.try_describe().error().code() == dfmerge::status::null_pointer);
    CHECK(first.try_share("x").error().code() == dfmerge::status::null_pointer);
    first = std::move(second);
    CHECK(first.data("w").size() == 4);
    auto &self = first;
    first = std::move(self);
    CHECK(first.data("w").size() == 4);

    dfmerge::cancel_flag flag;
    const dfmerge::cancel_flag moved = std::move(flag);
    CHECK(flag.try_request().error().code() == dfmerge::status::null_pointer);
    CHECK_THROWS_AS(flag.reset(), dfmerge::argument_error);
}

TEST_CASE("C handles come and go") {
    dfm_weights *raw = nullptr;
    REQUIRE(dfm_weights_create("raw", &raw) == DFM_OK);
    const weights taken = weights::adopt(raw);
    CHECK(taken.native() == raw);
    CHECK(taken.describe() == "[]");
    dfm_cancel *flag = nullptr;
    REQUIRE(dfm_cancel_create(&flag) == DFM_OK);
    CHECK_NOTHROW(dfmerge::cancel_flag::adopt(flag).request());
    // A handle that is freed behind the wrapper's back is an error, and nothing worse.
    dfm_weights_free(raw);
    CHECK(taken.try_describe().error().code() == dfmerge::status::wrong_handle);
}

TEST_CASE("bfloat16 rounds to nearest, ties to even") {
    CHECK(bf16::from_float(1).bits == 0x3F80);
    CHECK(bf16::from_float(1.00390625F).bits == 0x3F80);
    CHECK(bf16::from_float(1.01171875F).bits == 0x3F82);
    CHECK(bf16::from_float(1.004F).bits == 0x3F81);
    CHECK(bf16::from_float(-0.0F).bits == 0x8000);
    CHECK(std::isinf(bf16::from_float(std::numeric_limits<float>::max()).to_float()));
    CHECK(std::isinf(bf16::from_float(INFINITY).to_float()));
    CHECK(std::isnan(bf16::from_float(std::nanf("")).to_float()));
    int changed = 0;
    for (unsigned bits = 0; bits < 0x10000; bits++) {
        const bf16 value{static_cast<std::uint16_t>(bits)};
        const bool same = bf16::from_float(value.to_float()).bits == value.bits;
        changed += !same && !std::isnan(value.to_float());
    }
    CHECK(changed == 0);
}
