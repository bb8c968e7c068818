// The names of the first program of docs/cpp.md, for the blocks of code that go on with them: each
// is the body of a member function, with weights of its own.
#ifndef DFMERGE_TESTS_DOC_FIXTURE_HPP
#define DFMERGE_TESTS_DOC_FIXTURE_HPP

#include <dfmerge.hpp>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

struct doc_fixture {
    const std::vector<float> pretrained = {1, 2, 3, 4}, maths = {2, 2, 3, 5}, code = {1, 4, 2, 4};
    std::vector<float> live = std::vector<float>(4);
    dfmerge::weights base{"base"}, first{"maths"}, second{"code"}, target{"live"};

    doc_fixture() {
        base.add("layer.weight", pretrained, {2, 2});
        first.add("layer.weight", maths, {2, 2});
        second.add("layer.weight", code, {2, 2});
        target.add_writable("layer.weight", live, {2, 2});
    }

    static void check(bool holds) {
        if (holds) return;
        std::fprintf(stderr, "a check of docs/cpp.md does not hold\n");
        std::exit(1);
    }
};

#endif
