#include "core/trust/sealer.hpp"

#include <gtest/gtest.h>

namespace godwit::trust {
namespace {

Sealer sealer(char fill) { return Sealer::from_key(Secret(std::string(32, fill))).value(); }

TEST(Sealer, what_was_sealed_opens_again) {
  for (const std::string& plain : {std::string(), std::string("k"), std::string(64, '\0'), std::string(5000, 'x')}) {
    const Bytes sealed = sealer('a').seal(plain, "identity dev1");
    EXPECT_EQ(sealed.size(), plain.size() + Sealer::kOverhead);
    EXPECT_EQ(sealer('a').open(sealed, "identity dev1").value().reveal(), plain);
  }
}

TEST(Sealer, the_same_secret_never_looks_the_same) {
  EXPECT_NE(sealer('a').seal("secret", "c"), sealer('a').seal("secret", "c"));
  EXPECT_EQ(sealer('a').seal("secret", "c").find("secret"), std::string::npos);
}

TEST(Sealer, a_secret_opens_only_under_its_key_and_for_its_context) {
  const Bytes sealed = sealer('a').seal("secret", "identity dev1");
  EXPECT_EQ(sealer('b').open(sealed, "identity dev1").error().code, Code::crypto_failed);
  EXPECT_EQ(sealer('a').open(sealed, "identity dev2").error().code, Code::crypto_failed);
}

TEST(Sealer, any_changed_byte_and_any_cut_is_noticed) {
  const Bytes sealed = sealer('a').seal("secret", "c");
  for (std::size_t at = 0; at < sealed.size(); ++at) {
    Bytes changed = sealed;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    EXPECT_FALSE(sealer('a').open(changed, "c")) << at;
    EXPECT_FALSE(sealer('a').open(sealed.substr(0, at), "c")) << at;
  }
}

TEST(Sealer, a_key_of_another_length_is_refused) {
  EXPECT_EQ(Sealer::from_key(Secret("short")).error().code, Code::invalid_argument);
}

}  // namespace
}  // namespace godwit::trust
