// The header in a second translation unit, and all that inlines from it: one definition for both.
#include <dfmerge.hpp>

#include <doctest/doctest.h>

std::string describe_elsewhere(const dfmerge::weights &set) { return set.describe(); }

TEST_CASE("objects are passed between translation units") {
    dfmerge::weights set("set");
    CHECK(describe_elsewhere(set) == "[]");
    CHECK(dfmerge::options{{"a", 1}}.text() == R"({"a":1})");
}

const char *first_failure_without_exceptions();

TEST_CASE("a part of the program that is built without exceptions") {
    const char *failure = first_failure_without_exceptions();
    CHECK(std::string(failure ? failure : "") == "");
}
