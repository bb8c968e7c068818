// Merged weights for a model that keeps serving: readers hold the model that they began with,
// merges are written into a back buffer, and a swap of one pointer puts them live. No request ever
// sees half of a merge. With dfmerge installed (and PKG_CONFIG_PATH=PREFIX/lib/pkgconfig for a
// PREFIX of your own):
//
//     g++ -std=c++17 -Wall inference.cpp $(pkg-config --cflags --libs dfmerge) -pthread -o serve
//     export LD_LIBRARY_PATH=$(pkg-config --variable=libdir dfmerge)
//     ./serve
#include <dfmerge.hpp>

#include <atomic>
#include <cstdint>
#include <iostream>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

constexpr std::size_t rows = 64, columns = 256;

// A layer: answers = weight * input + bias. Never written while it is live.
struct layer {
    std::vector<float> weight = std::vector<float>(rows * columns);
    std::vector<float> bias = std::vector<float>(rows);

    std::vector<float> answer(const std::vector<float> &input) const {
        std::vector<float> out = bias;
        for (std::size_t i = 0; i < rows; i++)
            for (std::size_t j = 0; j < columns; j++) out[i] += weight[i * columns + j] * input[j];
        return out;
    }
};

// The live model. The lock is held for the copy of a pointer, never for a request or a merge; the
// last reader of an old model frees it.
class live_model {
public:
    explicit live_model(std::shared_ptr<const layer> first) : model_(std::move(first)) {}
    std::shared_ptr<const layer> get() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return model_;
    }
    void swap_in(std::shared_ptr<const layer> next) {
        const std::lock_guard<std::mutex> lock(mutex_);
        model_.swap(next);
    }

private:
    mutable std::mutex mutex_;
    std::shared_ptr<const layer> model_;
};

int main() try {
    // Two fine-tunes that tell versions apart: merged with share s, every answer is s * (columns +
    // 1), and a model of which half is from another merge gives answers that differ.
    const layer zero;
    layer one;
    one.weight.assign(rows * columns, 1);
    one.bias.assign(rows, 1);
    dfmerge::weights base("base"), tuned("tuned");
    base.add("weight", zero.weight, {rows, columns});
    base.add("bias", zero.bias);
    tuned.add("weight", std::as_const(one.weight), {rows, columns});
    tuned.add("bias", std::as_const(one.bias));

    live_model live(std::make_shared<layer>());
    std::atomic<bool> serving{true};
    std::atomic<std::int64_t> requests{0}, torn{0};
    std::mutex seen_lock;
    std::set<float> seen;
    std::vector<std::thread> readers;
    for (int reader = 0; reader < 2; reader++) {
        readers.emplace_back([&] {
            const std::vector<float> input(columns, 1);
            while (serving) {
                const auto model = live.get(); // one model for the whole request
                const auto answers = model->answer(input);
                for (const float answer : answers) torn += answer != answers[0];
                requests++;
                const std::lock_guard<std::mutex> lock(seen_lock);
                seen.insert(answers[0]);
            }
        });
    }

    constexpr int merges = 200;
    for (int i = 1; i <= merges; i++) {
        // The back buffer: nobody else knows it yet, so the library may write it.
        const auto back = std::make_shared<layer>();
        dfmerge::weights target("back");
        target.add_writable("weight", back->weight, {rows, columns});
        target.add_writable("bias", back->bias);
        dfmerge::merge("task_arithmetic")
            .options({{"coefficients", i / 256.0}})
            .base(base)
            .models({tuned})
            .into(target)
            .run();
        live.swap_in(back);
        // Waits for a request, so that some are answered by each of a few models.
        const auto served = requests.load();
        while (i % 20 == 0 && requests < served + 2) std::this_thread::yield();
    }
    serving = false;
    for (auto &reader : readers) reader.join();

    const float last = live.get()->answer(std::vector<float>(columns, 1))[0];
    std::cout << merges << " merges put live during " << requests << " requests, answered by "
              << seen.size() << " models; " << torn << " torn answers\n";
    return torn == 0 && seen.size() > 5 && last == merges / 256.0F * (columns + 1) ? 0 : 1;
} catch (const dfmerge::error &failure) {
    return std::cerr << failure.name() << ": " << failure.what() << '\n', 1;
}
