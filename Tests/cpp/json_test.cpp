// Options from C++ values: what is written, and what is refused.
#include "problem.hpp"

#include <doctest/doctest.h>

#include <clocale>
#include <cmath>
#include <limits>
#include <list>
#include <map>
#include <optional>
#include <string_view>

using dfmerge::json;
using dfmerge::options;

TEST_CASE("options are written as JSON") {
    CHECK(options().text() == "{}");
    CHECK(options{{"trials", 30}}.text() == R"({"trials":30})");
    CHECK(options{{"a", "b"}}.text() == R"({"a":"b"})");
    CHECK(options{{"a", "b"}, {"c", "d"}}.text() == R"({"a":"b","c":"d"})");
    CHECK(options{{"tasks", {"qa", "code"}}}.text() == R"({"tasks":["qa","code"]})");
    CHECK(options{{"tasks", {"qa"}}}.text() == R"({"tasks":["qa"]})");
    CHECK(options{{"bounds", {0, 1.5}}}.text() == R"({"bounds":[0,1.5]})");
    CHECK(options{{"on", true}, {"off", false}, {"none", nullptr}}.text() ==
          R"({"on":true,"off":false,"none":null})");
    CHECK(options{{"o", options{{"p", options()}}}}.text() == R"({"o":{"p":{}}})");
    CHECK(options{{"list", {options{{"x", 1}}, options{{"x", 2}}}}}.text() ==
          R"({"list":[{"x":1},{"x":2}]})");
    CHECK(options().set("a", 1).set("b", {1, 2}).text() == R"({"a":1,"b":[1,2]})");
}

TEST_CASE("values of every type") {
    CHECK(json(std::numeric_limits<std::int64_t>::min()).text() == "-9223372036854775808");
    CHECK(json(std::numeric_limits<std::uint64_t>::max()).text() == "18446744073709551615");
    CHECK(json(0.1).text() == "0.1");
    CHECK(json(1.0F / 3).text() == "0.3333333432674408");
    CHECK(json(1e300).text() == "1e+300");
    CHECK(json(-0.0).text() == "-0");
    CHECK(std::stod(json(0.1 + 0.2).text()) == 0.1 + 0.2);
    const double smallest = std::numeric_limits<double>::denorm_min();
    CHECK(std::strtod(json(smallest).text().c_str(), nullptr) == smallest);
    CHECK(json(std::vector<double>{0.5, 2}).text() == "[0.5,2]");
    CHECK(json(std::vector<bool>{true, false}).text() == "[true,false]");
    CHECK(json(std::list<std::string>{"a"}).text() == R"(["a"])");
    CHECK(json(std::vector<std::vector<int>>{{1}, {}}).text() == "[[1],[]]");
    CHECK(json(std::map<std::string, double>{{"a", 0.5}}).text() == R"({"a":0.5})");
    CHECK(json(std::map<std::string, std::vector<int>>{}).text() == "{}");
    CHECK(json(std::optional<int>()).text() == "null");
    CHECK(json(std::optional<int>(3)).text() == "3");
    CHECK(json(std::string_view("view")).text() == R"("view")");
    CHECK(json(std::vector<json>{1, "a", nullptr}).text() == R"([1,"a",null])");
}

TEST_CASE("texts are escaped") {
    CHECK(json("quote\" slash\\ line\n tab\t").text() ==
          R"("quote\" slash\\ line\u000a tab\u0009")");
    CHECK(json(std::string("nul\0!", 5)).text() == R"("nul\u0000!")");
    CHECK(json("Größe \xF0\x9F\x99\x82").text() == "\"Größe \xF0\x9F\x99\x82\"");
    CHECK(options{{"a\"b", 1}}.text() == R"({"a\"b":1})");
    // What comes back from the library is what went in.
    dfmerge::weights base("base");
    const auto made = dfmerge::optimizer::try_create(
        {{"parameters", {options{{"name", "a\"\\\n\x01"}, {"low", 0}, {"high", 1}}}}});
    REQUIRE(made);
    CHECK(contains(*made->try_result(), R"(a\"\\\n\u0001)"));
}

TEST_CASE("numbers do not depend on the locale") {
    // The formatting itself, with the decimal points that locales have.
    const char *before = std::setlocale(LC_NUMERIC, nullptr);
    const std::string saved = before ? before : "C";
    for (const char *name : {"de_DE.UTF-8", "fr_FR.UTF-8", "ps_AF.UTF-8"}) {
        std::setlocale(LC_NUMERIC, name);
        CHECK(json(2.5).text() == "2.5");
        CHECK(json(1e-7).text() == "1e-07");
    }
    std::setlocale(LC_NUMERIC, saved.c_str());
}

TEST_CASE("what JSON cannot express is refused by the call that gets it") {
    problem p;
    const auto created = [&](const options &o) {
        return dfmerge::search::try_create(o, p.base, {p.a, p.b}, p.target);
    };
    const auto nan = created({{"target", std::nan("")}});
    REQUIRE_FALSE(nan);
    CHECK(nan.error().code() == dfmerge::status::invalid_option);
    CHECK(contains(nan.error().what(), "'target' is NaN"));
    const auto deep = created({{"bounds", {0, std::vector<double>{1, -INFINITY}}}});
    REQUIRE_FALSE(deep);
    CHECK(contains(deep.error().what(), "'bounds' is -infinity"));
    const auto nested =
        created({{"groups", options{{"inner", std::numeric_limits<float>::infinity()}}}});
    REQUIRE_FALSE(nested);
    CHECK(contains(nested.error().what(), "'inner' is infinity"));
    const auto null = created({{"preset", static_cast<const char *>(nullptr)}});
    REQUIRE_FALSE(null);
    CHECK(contains(null.error().what(), "'preset' is a null text"));
    const auto mixed = created(options("{}").set("trials", 3));
    REQUIRE_FALSE(mixed);
    CHECK(contains(mixed.error().what(), "'trials' was added to a text"));
    const auto zero = created(std::string("{}\0{}", 5));
    REQUIRE_FALSE(zero);
    CHECK(contains(zero.error().what(), "zero byte after '{}'"));
}

TEST_CASE("the library's own complaints come through") {
    problem p;
    const auto text_of = [&](const options &o) {
        const auto made = dfmerge::search::try_create(o, p.base, {p.a, p.b}, p.target);
        return made ? std::string("no error")
                    : made.error().name() + std::string(": ") + made.error().what();
    };
    CHECK(contains(text_of({{"trails", 30}}), "unknown_name"));
    CHECK(contains(text_of({{"trails", 30}}), "trails"));
    CHECK(contains(text_of({{"trials", 0}}), "trials"));
    CHECK(contains(text_of({{"trials", 3}, {"trials", 4}}), "invalid_json"));
    CHECK(contains(text_of("{"), "invalid_json"));
    CHECK(contains(text_of("[]"), "invalid"));
    CHECK(text_of("") == "no error");
    CHECK(text_of(static_cast<const char *>(nullptr)) == "no error");
    CHECK(text_of(std::string(R"({"trials": 3})")) == "no error");
    CHECK(contains(text_of({{"tasks", std::string(100000, 'x')}}), "tasks"));
}
