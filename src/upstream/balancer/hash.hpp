#pragma once
/// Hashing that is the same on every machine and in every version, since clients and sessions are placed by it. Pure.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "nsboot_lb/base/cidr.hpp"

namespace nsboot_lb::upstream {

/// The finaliser of SplitMix64: a bijection that spreads neighbours over all 64 bits.
constexpr std::uint64_t mix(std::uint64_t x) {
    x += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

inline std::uint64_t load_u64(const void* bytes, std::size_t size) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes, size);
    return word;
}

inline std::uint64_t hash_bytes(std::string_view bytes) {
    std::uint64_t hash = mix(bytes.size());
    for (; bytes.size() >= 8; bytes.remove_prefix(8)) hash = mix(hash ^ load_u64(bytes.data(), 8));
    return mix(hash ^ load_u64(bytes.data(), bytes.size()));
}

/// The whole address: clients of one /24 differ in nothing but its last byte.
inline std::uint64_t hash_address(const base::IpAddress& address) {
    return mix(mix(load_u64(address.bytes.data(), 8)) ^ load_u64(address.bytes.data() + 8, 8));
}

/// Rendezvous hashing with weights: the server with the highest score has the key. Taking a server away moves its keys
/// and no others, and each server's share is in proportion to its weight.
inline double rendezvous_score(std::uint64_t key, std::uint64_t server, double weight) {
    const double uniform = (static_cast<double>(mix(key ^ server) >> 11) + 0.5) * 0x1p-53;  // in (0, 1)
    return -weight / std::log(uniform);
}

}  // namespace nsboot_lb::upstream
