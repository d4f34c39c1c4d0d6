#include "image_store.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace godwit::step_container {
namespace {

std::vector<std::string> some_layers(std::size_t count) {
  std::vector<std::string> layers;
  for (std::size_t i = 0; i < count; ++i) layers.push_back(std::string(60, 'a') + std::to_string(1000 + i));
  return layers;
}

TEST(HollowImage, names_the_lowest_layers_and_has_nothing_of_them) {
  const auto layers = some_layers(3);
  for (const std::size_t count : {3U, 1U}) {
    const auto made = make_hollow_image(layers, count);
    ASSERT_TRUE(made) << made.error().message;
    const auto image = read_image_in_memory(made->archive, own_architecture());
    ASSERT_TRUE(image) << image.error().message;
    EXPECT_EQ(image->id, made->id);
    EXPECT_EQ(image->layers, some_layers(count));
    EXPECT_EQ(image->architecture, own_architecture());
  }
}

TEST(HollowImage, has_room_for_as_many_layers_as_an_image_may_have) {
  const auto made = make_hollow_image(some_layers(kLayerLimit), kLayerLimit);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(read_image_in_memory(made->archive, own_architecture())->layers.size(), kLayerLimit);
}

}  // namespace
}  // namespace godwit::step_container
