#include "data/sentences.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sbm::data {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> sentences;
  split_sentences(text, [&](std::string_view sentence) { sentences.emplace_back(sentence); });
  return sentences;
}

TEST(Sentences, EndWithAMarkAndASpace) {
  EXPECT_THAT(split("One. Two!  Three? Four"), ElementsAre("One.", "Two!", " Three?", "Four"));
  EXPECT_THAT(split("It cost 3.50 at a.b/c."), ElementsAre("It cost 3.50 at a.b/c."));
  EXPECT_THAT(split("He said \"no!\" (Really?) And left..."),
              ElementsAre("He said \"no!\"", "(Really?)", "And left..."));
  EXPECT_THAT(split("..."), ElementsAre("..."));
}

TEST(Sentences, EndAtLineBreaksOfReviews) {
  EXPECT_THAT(split("One<br /><br />Two. <br />Three<b>bold</b>"),
              ElementsAre("One", "Two.", "Three<b>bold</b>"));
  EXPECT_THAT(split("a < b <br /"), ElementsAre("a < b <br /"));
}

TEST(Sentences, AreNeverBlank) {
  EXPECT_THAT(split(""), IsEmpty());
  EXPECT_THAT(split(" \t "), IsEmpty());
  EXPECT_THAT(split("<br /> <br />"), IsEmpty());
}

// Whatever the text, nothing but line breaks and white space is lost.
TEST(Sentences, LoseNothing) {
  const std::string alphabet = "a .!?<\")";
  for (int code = 0; code < 4096; ++code) {
    std::string text;
    for (int rest = code; rest > 0; rest /= 8) text += alphabet[static_cast<std::size_t>(rest % 8)];
    std::string joined;
    for (const std::string& sentence : split(text)) joined += sentence;
    std::erase(joined, ' ');
    std::erase(text, ' ');
    ASSERT_EQ(joined, text);
  }
}

}  // namespace
}  // namespace sbm::data
