// Memory of the library's, written by the program and handed out as DLPack structures.
#include "problem.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <vector>

using dfmerge::dtype;
using dfmerge::fisher;
using dfmerge::weights;

namespace {
/// The beginning of a DLManagedTensorVersioned, as dlpack.h has it.
struct managed {
    std::uint32_t major, minor;
    void *context;
    void (*deleter)(managed *);
    std::uint64_t flags;
    void *data;
    std::int32_t device_type, device_id, axes;
    std::uint8_t code, bits;
    std::uint16_t lanes;
    std::int64_t *sizes, *strides;
    std::uint64_t byte_offset;
};

/// A DLManagedTensor, from before versions.
struct unversioned {
    void *data;
    std::int32_t device_type, device_id, axes;
    std::uint8_t code, bits;
    std::uint16_t lanes;
    std::int64_t *sizes, *strides;
    std::uint64_t byte_offset;
    void *context;
    void (*deleter)(unversioned *);
};
} // namespace

TEST_CASE("tensors that the library makes are written and handed out") {
    managed *taken = nullptr;
    {
        weights made("made");
        const auto bytes = made.allocate("w", dtype::f32, {2, 3});
        REQUIRE(bytes.size() == 24);
        CHECK(made.values<float>("w") == std::vector<float>(6));
        const float value = 2.5F;
        std::memcpy(bytes.data() + 20, &value, sizeof value);
        CHECK(made.values<float>("w")[5] == 2.5F);
        CHECK(made.try_dlpack("none").error().code() == dfmerge::status::missing_tensor);
        CHECK(made.try_dlpack("w", 7).error().code() == dfmerge::status::invalid_argument);
    }
    {
        weights made("made");
        made.allocate("w", dtype::f32, {2, 3});
        taken = static_cast<managed *>(made.dlpack("w"));
    }
    // The weights are gone, the structure keeps the memory.
    REQUIRE(taken->major == 1);
    CHECK((taken->axes == 2 && taken->sizes[0] == 2 && taken->sizes[1] == 3));
    CHECK((taken->code == 2 && taken->bits == 32 && taken->lanes == 1));
    static_cast<float *>(taken->data)[5] = 1;
    taken->deleter(taken);
    weights twice("made");
    twice.allocate("w", dtype::f32, {2});
    CHECK(!twice.try_allocate("w", dtype::f32, {2}));
    std::vector<float> lent(2);
    weights host("host");
    host.add_writable("w", lent);
    CHECK(host.try_dlpack("w").error().code() == dfmerge::status::invalid_state);
}

TEST_CASE("Fisher values are handed out as DLPack structures that outlive their callback") {
    problem p;
    auto search = p.search({{"fisher", "static"}});
    std::vector<unversioned *> taken;
    search.set_fisher([&](fisher &values) {
        taken.push_back(static_cast<unversioned *>(values.dlpack("w", 0)));
        static_cast<float *>(taken.back()->data)[0] = 1;
        CHECK(values.data("w")[0] == 1);
        CHECK(values.try_dlpack("none").error().code() == dfmerge::status::missing_tensor);
    });
    search.set_evaluate([&] { return p.score(); });
    search.run();
    REQUIRE(!taken.empty());
    for (unversioned *each : taken) {
        CHECK((each->axes == 1 && each->sizes[0] == 4));
        each->deleter(each);
    }
}
