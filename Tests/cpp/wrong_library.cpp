// A library with another version of the interface must be refused by everything that makes a
// handle. The program's own dfm_abi_version comes before the library's.
#include <dfmerge.hpp>

#include <cstdio>
#include <cstring>

extern "C" int32_t dfm_abi_version(void) { return DFM_ABI_VERSION + 1; }

int main() {
    int wrong = 0;
    const auto refused = [&](const char *what, const auto &outcome) {
        if (!outcome && outcome.error().code() == dfmerge::status::unsupported &&
            std::strstr(outcome.error().what(), "has version 2 of the C interface"))
            return;
        std::fprintf(stderr, "wrong_library.cpp: %s was not refused\n", what);
        wrong++;
    };
    refused("check_abi", dfmerge::try_check_abi());
    refused("weights", dfmerge::weights::try_create("x"));
    refused("open", dfmerge::weights::try_open("x"));
    refused("cancel_flag", dfmerge::cancel_flag::try_create());
    refused("methods", dfmerge::try_methods());
    refused("merge_settings", dfmerge::try_merge_settings());
    refused("search_options", dfmerge::try_search_options());
    refused("optimizer_options", dfmerge::try_optimizer_options());
    refused("plan", dfmerge::merge("average").try_plan());
    refused("merge", dfmerge::merge("average").try_run());
    refused("optimizer", dfmerge::optimizer::try_create("{}"));
    auto none = dfmerge::weights::adopt(nullptr);
    refused("search", dfmerge::search::try_create({}, none, {}, none));
    return wrong;
}
