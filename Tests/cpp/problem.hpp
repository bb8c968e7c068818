// A merging problem that is small enough to check by hand: two fine-tunes of one vector, and a goal
// between them.
#ifndef DFMERGE_TESTS_PROBLEM_HPP
#define DFMERGE_TESTS_PROBLEM_HPP

#include <dfmerge.hpp>

#include <cstddef>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

struct problem {
    std::vector<float> origin = {1, 2, 3, 4};
    std::vector<float> first = {2, 2, 3, 5};
    std::vector<float> second = {1, 4, 2, 4};
    std::vector<float> live = std::vector<float>(4);
    std::vector<float> goal = {1.7F, 2.4F, 2.8F, 4.7F};

    dfmerge::weights base{"base"};
    dfmerge::weights a{"a"};
    dfmerge::weights b{"b"};
    dfmerge::weights target{"target"};

    problem() {
        base.add("w", std::as_const(origin));
        a.add("w", first);
        b.add("w", second);
        target.add_writable("w", live);
    }

    double score() const {
        double distance = 0;
        for (std::size_t i = 0; i < live.size(); i++)
            distance += (live[i] - goal[i]) * static_cast<double>(live[i] - goal[i]);
        return 1 - distance;
    }

    /// A search of a few trials that needs no Fisher values, unless `more` says otherwise.
    dfmerge::search search(dfmerge::options more = {{"fisher", "none"}}, int trials = 4,
                           const dfmerge::cancel_flag *cancel = nullptr) {
        more.set("trials", trials).set("initial", 3);
        return dfmerge::search(more, base, {a, b}, target, cancel);
    }
};

/// A folder that is gone at the end of the test.
struct scratch {
    std::string path = "/tmp/dfmerge-cpp-XXXXXX";
    scratch() {
        if (mkdtemp(path.data()) == nullptr) std::abort();
    }
    ~scratch() {
        if (std::system(("rm -rf '" + path + "'").c_str()) != 0) std::abort();
    }
    scratch(const scratch &) = delete;
    scratch &operator=(const scratch &) = delete;
    std::string operator/(const std::string &name) const { return path + "/" + name; }
};

/// Whether `text` contains `part`; doctest prints both sides of a call with texts.
inline bool contains(const std::string &text, const std::string &part) {
    return text.find(part) != std::string::npos;
}

#endif
