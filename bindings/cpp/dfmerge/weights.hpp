/** \file
 * weights: named tensors, in files or in the program's own memory.
 */
#ifndef DFMERGE_WEIGHTS_HPP
#define DFMERGE_WEIGHTS_HPP

#include "cancel.hpp"
#include "dtype.hpp"
#include "json.hpp"
#include "span.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <utility>
#include <vector>

DFMERGE_NAMESPACE_BEGIN

/** Sizes of a tensor, outermost axis first: a braced list of integers of any type, a vector or
 * another range of them. `{}` is a scalar. */
class shape {
public:
    /** One size. */
    class extent {
    public:
        /** A size; what int64_t cannot hold becomes -1, which the library refuses. */
        template <class I, class = std::enable_if_t<detail::is_number_v<I>>>
        constexpr extent(I size) noexcept
            : value(sizeof(I) < 8 || std::is_signed_v<I> ||
                            static_cast<std::uint64_t>(size) <= std::uint64_t{INT64_MAX}
                        ? static_cast<std::int64_t>(size)
                        : -1) {}
        /** The size. */
        std::int64_t value;
    };

    /** A scalar. */
    shape() = default;
    /** These sizes. */
    shape(std::initializer_list<extent> sizes) { append(sizes); }
    /** The sizes in a range of integers. */
    template <class Range,
              class = std::enable_if_t<detail::is_range<Range>::value &&
                                       !std::is_same_v<Range, std::initializer_list<extent>>>>
    shape(const Range &sizes) {
        append(sizes);
    }

    /** The sizes. */
    span<const std::int64_t> sizes() const noexcept { return sizes_; }

private:
    template <class Range> void append(const Range &sizes) {
        for (const auto &size : sizes) sizes_.push_back(extent(size).value);
    }
    std::vector<std::int64_t> sizes_;
};

namespace detail {

/** std::array and its like, which own their elements. */
template <class C, class = void> struct has_fixed_size : std::false_type {};
template <class C>
struct has_fixed_size<C, std::void_t<decltype(std::tuple_size<C>::value)>> : std::true_type {};

/** Whether C may be lent as a tensor: in place, or a view such as a span. */
template <class C>
inline constexpr bool is_lendable_v =
    std::is_lvalue_reference_v<C> ||
    (std::is_trivially_copyable_v<std::decay_t<C>> && !has_fixed_size<std::decay_t<C>>::value &&
     sizeof(std::decay_t<C>) <= 2 * sizeof(void *));

} // namespace detail

/** Named tensors: a checkpoint on disk, or tensors that the program lends. Move-only. */
class weights {
public:
    /** An empty set, to be filled with add(); `label` is what messages call it, and for a model
     * the name of its options. */
    static result<weights> try_create(const cstring &label) {
        DFMERGE_TRY(try_check_abi());
        DFMERGE_TRY(detail::check_text(label, "label"));
        dfm_weights *raw = nullptr;
        DFMERGE_TRY(detail::checked(dfm_weights_create(label.c_str(), &raw)));
        return weights(raw);
    }

    /** Opens a .safetensors file or a Hugging Face folder. The files are mapped, not read, and
     * must not change while open. The label is the path; share() gives another. */
    static result<weights> try_open(const cstring &path) {
        DFMERGE_TRY(try_check_abi());
        DFMERGE_TRY(detail::check_text(path, "path"));
        dfm_weights *raw = nullptr;
        DFMERGE_TRY(detail::checked(dfm_weights_open(path.c_str(), &raw)));
        return weights(raw);
    }

    /** The same tensors under another label. What is added to one later is not in the other. */
    result<weights> try_share(const cstring &label) const {
        DFMERGE_TRY(detail::check_text(label, "label"));
        dfm_weights *raw = nullptr;
        DFMERGE_TRY(detail::checked(dfm_weights_share(native(), label.c_str(), &raw)));
        return weights(raw);
    }

    /** Lends a tensor to be read: a vector, std::array, array or span, row-major, whose elements
     * have a dtype_of. Not copied: it stays in place and as long as the program needs the weights
     * and every search made from them. */
    template <class C> result<void> try_add(const cstring &name, C &&elements, const shape &sizes) {
        static_assert(detail::is_lendable_v<C &&>,
                      "the elements are lent, not copied: pass something that stays in place");
        using T = detail::element_t<C>;
        return try_add(name, dtype_v<T>, std::data(elements), std::size(elements) * sizeof(T),
                       sizes);
    }
    /** The same, as a tensor with one axis. */
    template <class C> result<void> try_add(const cstring &name, C &&elements) {
        const std::size_t size = std::size(elements);
        return try_add(name, std::forward<C>(elements), shape{size});
    }
    /** The same, for memory without a C++ type. `data` may have any alignment, and be null for a
     * tensor without elements. */
    result<void> try_add(const cstring &name, dtype type, const void *data, std::size_t byte_length,
                         const shape &sizes) {
        // The library never writes what was not lent as writable.
        return lend(name, type, const_cast<void *>(data), byte_length, sizes, 0);
    }

    /** Lends a tensor that the library may write: those of a target. Otherwise like try_add(). */
    template <class C>
    result<void> try_add_writable(const cstring &name, C &&elements, const shape &sizes) {
        static_assert(detail::is_lendable_v<C &&>,
                      "the elements are lent, not copied: pass something that stays in place");
        using T = detail::element_t<C>;
        return try_add_writable(name, dtype_v<T>, std::data(elements),
                                std::size(elements) * sizeof(T), sizes);
    }
    /** The same, as a tensor with one axis. */
    template <class C> result<void> try_add_writable(const cstring &name, C &&elements) {
        const std::size_t size = std::size(elements);
        return try_add_writable(name, std::forward<C>(elements), shape{size});
    }
    /** The same, for memory without a C++ type. */
    result<void> try_add_writable(const cstring &name, dtype type, void *data,
                                  std::size_t byte_length, const shape &sizes) {
        return lend(name, type, data, byte_length, sizes, 1);
    }

    /** Adds a tensor whose memory the library makes, preset to 0 and aligned to 64 bytes: the
     * place for a result. The bytes are valid while this object is there. */
    result<span<std::byte>> try_allocate(const cstring &name, dtype type, const shape &sizes) {
        DFMERGE_TRY(detail::check_text(name, "name"));
        const auto axes = sizes.sizes();
        DFMERGE_TRY(detail::checked(
            dfm_weights_allocate(native(), name.c_str(), static_cast<std::int32_t>(type),
                                 axes.data(), static_cast<std::int64_t>(axes.size()))));
        const auto bytes = try_data(name);
        if (!bytes) return bytes.error();
        // The library made it to be written.
        return span<std::byte>(const_cast<std::byte *>(bytes->data()), bytes->size());
    }

    /** A tensor of an opened checkpoint (read-only), or one that try_allocate() made, as a DLPack
     * structure, without a copy: a DLManagedTensorVersioned for major version 1, a DLManagedTensor
     * for 0. It keeps its memory alive by itself; whoever takes it calls its deleter once. */
    result<void *> try_dlpack(const cstring &name, std::int32_t major = 1) const {
        DFMERGE_TRY(detail::check_text(name, "name"));
        void *structure = nullptr;
        DFMERGE_TRY(
            detail::checked(dfm_weights_dlpack(native(), name.c_str(), major, &structure)));
        return structure;
    }

    /** The tensors as JSON: [{"name", "dtype", "shape", "bytes"}, ...] in the set's own order. */
    result<std::string> try_describe() const {
        return detail::text_of([&](dfm_text **out) { return dfm_weights_describe(native(), out); });
    }

    /** The bytes of a tensor, valid while this object (or what it was moved to) is there. */
    result<span<const std::byte>> try_data(const cstring &name) const {
        DFMERGE_TRY(detail::check_text(name, "name"));
        const void *data = nullptr;
        std::int64_t size = 0;
        DFMERGE_TRY(detail::checked(dfm_weights_data(native(), name.c_str(), &data, &size)));
        return span<const std::byte>(static_cast<const std::byte *>(data),
                                     static_cast<std::size_t>(size));
    }
    /** The elements of a tensor, copied: a file aligns nothing. Fails with dtype_mismatch where
     * the bytes are no whole number of T; that T is the type is for describe() to say. */
    template <class T> result<std::vector<T>> try_values(const cstring &name) const {
        static_assert(detail::has_dtype<T>::value && !std::is_same_v<T, bool>);
        const auto bytes = try_data(name);
        if (!bytes) return bytes.error();
        if (bytes->size() % sizeof(T) != 0)
            return error(status::dtype_mismatch,
                         "Tensor '" + std::string(name.c_str()) + "' has " +
                             std::to_string(bytes->size()) + " bytes, no multiple of " +
                             std::to_string(sizeof(T)) + "; read it as its own type.");
        std::vector<T> values(bytes->size() / sizeof(T));
        if (!values.empty()) std::memcpy(values.data(), bytes->data(), bytes->size());
        return values;
    }

    /** Writes the tensors to a .safetensors file, or to a folder where the path does not end so.
     * Files are complete or as they were before. Options: "metadata", "shard_size",
     * "copy_files_from"; see dfm_weights_save. */
    result<void> try_save(const cstring &path, const dfmerge::options &options = {},
                          const cancel_flag *cancel = nullptr) const {
        DFMERGE_TRY(detail::check_text(path, "path"));
        DFMERGE_TRY(options.check("options"));
        return detail::checked(dfm_weights_save(native(), path.c_str(), options.text().c_str(),
                                                cancel ? cancel->native() : nullptr));
    }

#if DFMERGE_EXCEPTIONS
    /** The same as try_create(), throwing. */
    explicit weights(const cstring &label) : weights(try_create(label).value()) {}
    /** The same as try_open(), throwing. */
    static weights open(const cstring &path) { return try_open(path).value(); }
    /** The same as try_share(), throwing. */
    weights share(const cstring &label) const { return try_share(label).value(); }
    /** The same as try_add(), throwing. */
    template <class C> void add(const cstring &name, C &&elements, const shape &sizes) {
        try_add(name, std::forward<C>(elements), sizes).value();
    }
    /** The same as try_add(), throwing. */
    template <class C> void add(const cstring &name, C &&elements) {
        try_add(name, std::forward<C>(elements)).value();
    }
    /** The same as try_add(), throwing. */
    void add(const cstring &name, dtype type, const void *data, std::size_t byte_length,
             const shape &sizes) {
        try_add(name, type, data, byte_length, sizes).value();
    }
    /** The same as try_add_writable(), throwing. */
    template <class C> void add_writable(const cstring &name, C &&elements, const shape &sizes) {
        try_add_writable(name, std::forward<C>(elements), sizes).value();
    }
    /** The same as try_add_writable(), throwing. */
    template <class C> void add_writable(const cstring &name, C &&elements) {
        try_add_writable(name, std::forward<C>(elements)).value();
    }
    /** The same as try_add_writable(), throwing. */
    void add_writable(const cstring &name, dtype type, void *data, std::size_t byte_length,
                      const shape &sizes) {
        try_add_writable(name, type, data, byte_length, sizes).value();
    }
    /** The same as try_allocate(), throwing. */
    span<std::byte> allocate(const cstring &name, dtype type, const shape &sizes) {
        return try_allocate(name, type, sizes).value();
    }
    /** The same as try_dlpack(), throwing. */
    void *dlpack(const cstring &name, std::int32_t major = 1) const {
        return try_dlpack(name, major).value();
    }
    /** The same as try_describe(), throwing. */
    std::string describe() const { return try_describe().value(); }
    /** The same as try_data(), throwing. */
    span<const std::byte> data(const cstring &name) const { return try_data(name).value(); }
    /** The same as try_values(), throwing. */
    template <class T> std::vector<T> values(const cstring &name) const {
        return try_values<T>(name).value();
    }
    /** The same as try_save(), throwing. */
    void save(const cstring &path, const dfmerge::options &options = {},
              const cancel_flag *cancel = nullptr) const {
        try_save(path, options, cancel).value();
    }
#endif

    /** The C handle, which stays this object's; null after a move. */
    dfm_weights *native() const noexcept { return handle_.get(); }
    /** Takes over a C handle, which dfm_weights_free would free. */
    static weights adopt(dfm_weights *handle) noexcept { return weights(handle); }

private:
    explicit weights(dfm_weights *handle) noexcept : handle_(handle) {}
    result<void> lend(const cstring &name, dtype type, void *data, std::size_t byte_length,
                      const shape &sizes, std::int32_t writable) {
        DFMERGE_TRY(detail::check_text(name, "name"));
        const auto axes = sizes.sizes();
        return detail::checked(dfm_weights_add(native(), name.c_str(),
                                               static_cast<std::int32_t>(type), axes.data(),
                                               static_cast<std::int64_t>(axes.size()), data,
                                               static_cast<std::int64_t>(byte_length), writable));
    }
    detail::owned<dfm_weights, dfm_weights_free> handle_;
};

/** Several weights, in order: a braced list of weights, or a range of weights, of pointers or of
 * std::reference_wrapper to them. It holds none of them: it is for the call that it is given to. */
class weights_list {
public:
    /** One of the weights. */
    class item {
    public:
        /** This one. */
        item(const weights &each) noexcept : handle(each.native()) {}
        /** This one; the library refuses null. */
        item(const weights *each) noexcept : handle(each ? each->native() : nullptr) {}
        /** This one. */
        item(std::reference_wrapper<const weights> each) noexcept : item(each.get()) {}
        /** This one. */
        item(std::reference_wrapper<weights> each) noexcept : item(each.get()) {}
        /** Its C handle. */
        dfm_weights *handle;
    };

    /** None. */
    weights_list() = default;
    /** These. */
    weights_list(std::initializer_list<item> items) { append(items); }
    /** Those in a range. */
    template <class Range,
              class = std::enable_if_t<detail::is_range<Range>::value &&
                                       !std::is_same_v<Range, std::initializer_list<item>>>>
    weights_list(const Range &items) {
        append(items);
    }

    /** The C handles. */
    span<dfm_weights *const> handles() const noexcept { return handles_; }

private:
    template <class Range> void append(const Range &items) {
        for (const auto &each : items) handles_.push_back(item(each).handle);
    }
    std::vector<dfm_weights *> handles_;
};

DFMERGE_NAMESPACE_END

#endif
