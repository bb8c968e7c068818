// Merges in memory and to files, their plans, and what stops them.
#include "problem.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>

using dfmerge::merge;

TEST_CASE("a merge in memory") {
    problem p;
    const std::string report = merge("task_arithmetic")
                                   .options({{"coefficients", {0.5, 0.25}}})
                                   .base(p.base)
                                   .models({p.a, p.b})
                                   .into(p.target)
                                   .run();
    CHECK(p.live == std::vector<float>{1.5F, 2.5F, 2.75F, 4.5F});
    CHECK(contains(report, "\"merged\""));

    merge by_label("task_arithmetic");
    by_label.options({{"coefficients", dfmerge::options{{"a", 1}, {"b", 0}}}}).base(p.base);
    by_label.models(std::vector<const dfmerge::weights *>{&p.a, &p.b}).into(p.target);
    CHECK(contains(by_label.plan(), "\"possible\":true"));
    by_label.run();
    CHECK(p.live == p.first);
    by_label.models(std::vector<std::reference_wrapper<dfmerge::weights>>{p.b, p.a}).run();
    CHECK(p.live == p.first);
}

TEST_CASE("a merge of bfloat16, scalar and empty tensors to a file") {
    const scratch folder;
    using dfmerge::bf16;
    const std::vector<bf16> halves[] = {{bf16::from_float(1), bf16::from_float(2)},
                                        {bf16::from_float(3), bf16::from_float(4)}};
    const float scalars[] = {1, 2};
    std::vector<dfmerge::weights> models;
    for (const int i : {0, 1}) {
        models.emplace_back(i == 0 ? "a" : "b");
        models.back().add("half", halves[i], {1, 2});
        models.back().add("scalar", dfmerge::span(scalars + i, 1), {});
        models.back().add("empty", dfmerge::span<const float>(), {0, 3});
    }
    merge("average").models(models).to(folder / "m.safetensors").run();
    const auto merged = dfmerge::weights::open(folder / "m.safetensors");
    const auto half = merged.values<bf16>("half");
    CHECK(half[0].to_float() == 2);
    CHECK(half[1].to_float() == 3);
    CHECK(merged.values<float>("scalar") == std::vector<float>{1.5F});
    CHECK(merged.data("empty").empty());
    CHECK(contains(merged.describe(), R"("name":"scalar","shape":[])"));
    // In one expression: the temporaries live as long as the run.
    merge("average")
        .models({dfmerge::weights::open(folder / "m.safetensors"),
                 dfmerge::weights::open(folder / "m.safetensors").share("other")})
        .settings({{"dtype", "F32"}, {"threads", 1}})
        .to(std::filesystem::path(folder / "folder"))
        .run();
    CHECK(std::filesystem::exists(folder / "folder/model.safetensors"));
}

TEST_CASE("Fisher values per model") {
    problem p;
    const std::vector<float> one = {1, 0, 1, 2};
    const std::vector<float> two = {2, 1, 0, 1};
    dfmerge::weights f("f");
    dfmerge::weights g("g");
    f.add("w", one);
    g.add("w", two);
    merge job("fisher");
    job.models({p.a, p.b}).fishers({f, g}).into(p.target).run();
    CHECK(p.live[0] == doctest::Approx(4.0 / 3));
    CHECK(p.live[1] == doctest::Approx(4));
    CHECK(p.live[3] == doctest::Approx(14.0 / 3));
    const auto fewer = job.fishers({f}).try_run();
    REQUIRE_FALSE(fewer);
    CHECK(contains(fewer.error().what(), "1 sets of Fisher values or Gram matrices for 2 models"));
}

TEST_CASE("progress is heard, stops, and throws through") {
    problem p;
    merge job("average");
    job.models({p.a, p.b}).into(p.target);
    std::int64_t done = -1;
    std::int64_t total = -2;
    job.on_progress([&](const dfmerge::progress &event) {
        CHECK(event.phase == "merge");
        done = event.done;
        total = event.total;
    });
    job.run();
    CHECK(done == total);

    job.on_progress([](const dfmerge::progress &) { return false; });
    CHECK(job.try_run().error().code() == dfmerge::status::callback_failed);
    job.on_progress(
        [owned = std::make_unique<int>(7)](const dfmerge::progress &) { throw *owned; });
    CHECK_THROWS_AS(job.run(), int);
    const auto outcome = job.try_run();
    REQUIRE_FALSE(outcome);
    CHECK(outcome.error().cause() != nullptr);
    job.on_progress([](const dfmerge::progress &) -> dfmerge::result<void> {
        return dfmerge::error(dfmerge::status::io_failure, "the pipe is closed");
    });
    CHECK_THROWS_WITH_AS(job.run(), "the pipe is closed", dfmerge::io_error);
    job.on_progress([](const dfmerge::progress &) { return true; });
    CHECK_NOTHROW(job.run());
    job.on_progress(std::function<void(const dfmerge::progress &)>());
    CHECK(contains(job.try_run().error().what(), "progress callback is empty"));
}

TEST_CASE("a raised flag stops a merge") {
    problem p;
    dfmerge::cancel_flag stop;
    merge job("average");
    job.models({p.a, p.b}).into(p.target).cancel(stop);
    std::thread([&] { stop.request(); }).join();
    CHECK_THROWS_AS(job.run(), dfmerge::stopped_error);
    stop.reset();
    CHECK_NOTHROW(job.run());
}

TEST_CASE("wrong merges") {
    problem p;
    const auto code = [](merge &&job) {
        const auto outcome = job.try_run();
        return outcome ? dfmerge::status::ok : outcome.error().code();
    };
    using dfmerge::status;
    CHECK(code(merge("no_such_method").models({p.a}).into(p.target)) == status::unknown_name);
    CHECK(code(merge(nullptr).models({p.a}).into(p.target)) == status::null_pointer);
    CHECK(code(merge(std::string("a\0b", 3)).models({p.a}).into(p.target)) ==
          status::invalid_argument);
    CHECK(code(merge("average").models({p.a})) != status::ok);
    CHECK(code(merge("average").into(p.target)) != status::ok);
    CHECK(code(merge("average").models({nullptr}).into(p.target)) == status::null_pointer);
    CHECK(code(merge("average").models({p.a}).into(p.a)) != status::ok);
    CHECK(code(merge("average").models({p.a}).into(p.target).settings({{"thread", 1}})) ==
          status::unknown_name);
    CHECK(code(merge("average").models({p.a}).into(p.target).settings({{"x", std::nan("")}})) ==
          status::invalid_option);
    CHECK(code(merge("average").models({p.a}).to(std::string("x\0y", 3))) ==
          status::invalid_argument);
    merge stale("average");
    {
        const dfmerge::weights gone("gone");
        stale.models({gone}).into(p.target);
    }
    CHECK(code(std::move(stale)) == status::wrong_handle);
    CHECK(merge("average").models({p.a}).try_plan());
    CHECK_FALSE(merge("nothing").models({p.a}).try_plan());
}

TEST_CASE("the library describes itself") {
    CHECK(contains(dfmerge::methods(), "task_arithmetic"));
    CHECK(contains(dfmerge::merge_settings(), "max_memory"));
    CHECK(contains(dfmerge::search_options(), "acquisition"));
    CHECK(contains(dfmerge::optimizer_options(), "lease_seconds"));
}

TEST_CASE("a merge takes the last place to write, and forgets a wrong one") {
    problem p;
    const scratch folder;
    dfmerge::merge merge("average");
    merge.models({p.a, p.b}).to(std::string("x\0y", 3));
    CHECK(!merge.try_run());
    CHECK(merge.to(folder / "merged.safetensors").try_run());
    CHECK(merge.into(p.target).try_run());
    CHECK(p.live[1] == 3);
    CHECK(merge.to(folder / "again.safetensors").try_run());
}

TEST_CASE("a merge may be destroyed by its own callback") {
    problem p;
    std::unique_ptr<dfmerge::merge> merge;
    int calls = 0;
    merge = std::make_unique<dfmerge::merge>("average");
    merge->models({p.a, p.b}).into(p.target).on_progress([&](const dfmerge::progress &) {
        merge.reset();
        calls++;
    });
    CHECK(merge->try_run());
    CHECK(calls > 0);
}
