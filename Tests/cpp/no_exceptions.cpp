// The whole wrapper with -fno-exceptions -fno-rtti: a program of its own, linked with a translation
// unit that uses exceptions (the rest of the tests), as a mixed code base would be.
#include <dfmerge.hpp>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <vector>

#if DFMERGE_EXCEPTIONS
#error "this file is to be compiled with -fno-exceptions, or with DFMERGE_NO_EXCEPTIONS"
#endif

// What the test program asks: null if all is well, else the expression that is not.
const char *first_failure_without_exceptions();

#define EXPECT(...)                                                                                \
    if (!(__VA_ARGS__)) return #__VA_ARGS__

const char *first_failure_without_exceptions() {
    std::vector<float> origin = {1, 2};
    std::vector<float> tuned = {2, 4};
    std::vector<float> live(2);
    auto base = dfmerge::weights::try_create("base");
    auto model = dfmerge::weights::try_create("model");
    auto target = dfmerge::weights::try_create("target");
    EXPECT(base && model && target);
    EXPECT(base->try_add("w", origin));
    EXPECT(model->try_add("w", tuned));
    EXPECT(target->try_add_writable("w", live));

    EXPECT(dfmerge::merge("average").models({*model}).into(*target).try_run());
    EXPECT(live == tuned);

    auto search = dfmerge::search::try_create({{"trials", 4}, {"initial", 3}, {"fisher", "static"}},
                                              *base, {*model}, *target);
    EXPECT(search);
    EXPECT(!search->try_run());
    EXPECT(search->try_set_evaluate([&] { return 1 - (live[0] - 1.5) * (live[0] - 1.5); }));
    EXPECT(search->try_set_fisher([](dfmerge::fisher &values) {
        return values.try_accumulate("wrong", std::vector<float>{1, 2}, 1);
    }));
    const auto stopped = search->try_run();
    EXPECT(!stopped);
    EXPECT(stopped.error().code() == dfmerge::status::missing_tensor);
    EXPECT(std::strstr(stopped.error().what(), "wrong") != nullptr);
    EXPECT(search->try_set_fisher([](dfmerge::fisher &values) {
        return values.try_accumulate("w", std::vector<float>{1, 2}, 1);
    }));
    EXPECT(search->try_run());
    EXPECT(search->try_result());

    auto optimizer = dfmerge::optimizer::try_create(
        {{"parameters", {dfmerge::options{{"name", "x"}, {"low", 0}, {"high", 1}}}}});
    EXPECT(optimizer);
    const auto asked = optimizer->try_ask();
    EXPECT(asked);
    EXPECT(optimizer->try_tell(asked->number, asked->point[0]));
    EXPECT(!optimizer->try_tell(asked->number, 1));
    EXPECT(optimizer->try_best());
    EXPECT(dfmerge::options{{"x", HUGE_VAL}}.check("options").error().code() ==
           dfmerge::status::invalid_option);
    return nullptr;
}

#ifdef DFMERGE_TESTS_OWN_MAIN
int main() {
    const char *failure = first_failure_without_exceptions();
    if (failure) std::fprintf(stderr, "no_exceptions.cpp: not so: %s\n", failure);
    return failure ? 1 : 0;
}
#endif
