#include "data/http_fetch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/data/http_server.h"
#include "tests/data/temporary_folder.h"

namespace sbm::data {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class HttpFetch : public ::testing::Test {
 protected:
  HttpFetch() {
    for (std::size_t i = 0; i < 100000; ++i) body_ += static_cast<char>(i * i % 251);
  }

  [[nodiscard]] std::filesystem::path partial() const { return folder_.path() / "file.part"; }
  [[nodiscard]] FetchRequest request(int attempts = 4) const {
    return {.url = server_.address() + "/file", .path = partial(), .attempts = attempts};
  }
  [[nodiscard]] std::string contents() const {
    const auto bytes = read_bytes(partial());
    return {bytes.begin(), bytes.end()};
  }

  TemporaryFolder folder_;
  HttpServer server_;
  std::string body_;
};

TEST_F(HttpFetch, FetchesAFile) {
  server_.serve("/file", {.body = body_});
  std::uint64_t last = 0;
  fetch_file(request(), [&](std::uint64_t done, std::uint64_t total) {
    EXPECT_LE(done, body_.size());
    EXPECT_TRUE(total == 0 || total == body_.size());
    last = done;
  });
  EXPECT_EQ(contents(), body_);
  EXPECT_EQ(last, body_.size());
  EXPECT_THAT(server_.requests(), ElementsAre("GET /file"));
}

TEST_F(HttpFetch, AnEmptyFileIsAFile) {
  server_.serve("/file", {});
  fetch_file(request());
  EXPECT_EQ(contents(), "");
}

TEST_F(HttpFetch, GoesOnWhereAConnectionBrokeOff) {
  server_.serve("/file", {.body = body_, .break_off_after = 30000, .breaks = 2});
  fetch_file(request());
  EXPECT_EQ(contents(), body_);
  EXPECT_THAT(server_.requests(),
              ElementsAre("GET /file", "GET /file bytes=30000-", "GET /file bytes=60000-"));
}

TEST_F(HttpFetch, GoesOnInTheNextCall) {
  server_.serve("/file", {.body = body_, .break_off_after = 30000, .breaks = 1});
  EXPECT_THROW(fetch_file(request(1)), FetchError);
  EXPECT_EQ(contents().size(), 30000U);
  fetch_file(request(1));
  EXPECT_EQ(contents(), body_);
  EXPECT_THAT(server_.requests(), ElementsAre("GET /file", "GET /file bytes=30000-"));
}

TEST_F(HttpFetch, AnotherVersionIsFetchedAnew) {
  server_.serve("/file", {.body = body_, .break_off_after = 30000, .breaks = 1});
  EXPECT_THROW(fetch_file(request(1)), FetchError);
  const std::string other(50000, 'x');
  server_.serve("/file", {.body = other, .tag = "\"v2\""});
  fetch_file(request(1));
  EXPECT_EQ(contents(), other);
}

TEST_F(HttpFetch, AServerWithoutRangesSendsAllAgain) {
  server_.serve("/file", {.body = body_, .break_off_after = 30000, .breaks = 1, .ranges = false});
  fetch_file(request());
  EXPECT_EQ(contents(), body_);
}

// Bytes of an unknown version must not be continued: nobody would notice a mixture.
TEST_F(HttpFetch, WithoutAVersionNothingIsContinued) {
  server_.serve("/file", {.body = body_, .tag = "", .break_off_after = 30000, .breaks = 1});
  EXPECT_THROW(fetch_file(request(1)), FetchError);
  fetch_file(request(1));
  EXPECT_EQ(contents(), body_);
  EXPECT_THAT(server_.requests(), ElementsAre("GET /file", "GET /file"));
}

TEST_F(HttpFetch, AWeakTagIsNoVersion) {
  server_.serve("/file", {.body = body_, .tag = "W/\"v1\"", .break_off_after = 30000, .breaks = 1});
  EXPECT_THROW(fetch_file(request(1)), FetchError);
  fetch_file(request(1));
  EXPECT_THAT(server_.requests(), ElementsAre("GET /file", "GET /file"));
}

TEST_F(HttpFetch, AWholePartialFileIsNotFetchedAgain) {
  server_.serve("/file", {.body = body_});
  fetch_file(request());
  fetch_file(request());  // the size is unknown: the server says that nothing is missing
  EXPECT_EQ(contents(), body_);
  EXPECT_THAT(server_.requests(), ElementsAre("GET /file", "GET /file bytes=100000-"));
  FetchRequest known = request();
  known.bytes = body_.size();
  fetch_file(known);
  EXPECT_EQ(server_.requests().size(), 2U);
}

TEST_F(HttpFetch, APartialFileThatIsTooLongIsFetchedAnew) {
  server_.serve("/file", {.body = body_});
  fetch_file(request());
  const std::string other = body_.substr(0, 70000);
  server_.serve("/file", {.body = other});
  fetch_file(request());
  EXPECT_EQ(contents(), other);
}

TEST_F(HttpFetch, PartsThatAreShorterThanAskedForAreNotTheEnd) {
  server_.serve("/file",
                {.body = body_, .break_off_after = 30000, .breaks = 1, .longest_part = 40000});
  fetch_file(request());
  EXPECT_EQ(contents(), body_);
  EXPECT_THAT(server_.requests(),
              ElementsAre("GET /file", "GET /file bytes=30000-", "GET /file bytes=70000-"));
}

TEST_F(HttpFetch, APartOfAnotherPlaceIsNotAppended) {
  server_.serve("/file", {.body = body_, .break_off_after = 30000, .breaks = 1, .shift = 7});
  EXPECT_THROW(fetch_file(request(1)), FetchError);
  EXPECT_THAT([this] { fetch_file(request(1)); },
              ThrowsMessage<FetchError>(HasSubstr("expected bytes from 30000 on, the server sends "
                                                  "\"bytes 30007-")));
  fetch_file(request(1));  // from the beginning
  EXPECT_EQ(contents(), body_);
}

TEST_F(HttpFetch, FollowsRedirections) {
  server_.serve("/file", {.status = 302, .location = server_.address() + "/there"});
  server_.serve("/there", {.body = body_});
  fetch_file(request());
  EXPECT_EQ(contents(), body_);
}

TEST_F(HttpFetch, SaysWhatIsWrong) {
  const auto refused = [this](const char* reason) {
    EXPECT_THAT([this] { fetch_file(request(1)); },
                ThrowsMessage<FetchError>(
                    AllOf(HasSubstr(server_.address() + "/file: "), HasSubstr(reason))));
  };
  refused("404");
  server_.serve("/file", {.status = 503});
  refused("503");
  server_.serve("/file", {.status = 302, .location = server_.address() + "/file"});
  refused("redirect");
  server_.serve("/file", {.status = 302, .location = "file:///etc/hostname"});
  refused("rotocol");
}

TEST_F(HttpFetch, ABusyServerIsAskedAgainAMissingFileNot) {
  EXPECT_THROW(fetch_file(request(3)), FetchError);
  EXPECT_EQ(server_.requests().size(), 1U);
  server_.serve("/file", {.status = 503});
  EXPECT_THROW(fetch_file(request(2)), FetchError);
  EXPECT_EQ(server_.requests().size(), 3U);
}

TEST_F(HttpFetch, TheSizeIsChecked) {
  FetchRequest known = request();
  known.bytes = 99999;
  server_.serve("/file", {.body = body_});
  EXPECT_THAT([&] { fetch_file(known); }, ThrowsMessage<FetchError>(HasSubstr("sends more")));
  server_.serve("/file", {.body = "short", .tag = "\"v2\""});
  EXPECT_THAT([&] { fetch_file(known); },
              ThrowsMessage<FetchError>(HasSubstr("expected 99999 bytes, found 5")));
}

TEST_F(HttpFetch, WithoutANetworkThereIsAReason) {
  FetchRequest nowhere = request(1);
  nowhere.url = "http://127.0.0.1:1/file";
  EXPECT_THAT([&] { fetch_file(nowhere); }, ThrowsMessage<FetchError>(HasSubstr("onnect")));
  nowhere.url = "http://no-such-host.invalid/file";
  EXPECT_THAT([&] { fetch_file(nowhere); }, ThrowsMessage<FetchError>(HasSubstr("resolve")));
  nowhere.url = "ftp://127.0.0.1/file";
  EXPECT_THROW(fetch_file(nowhere), FetchError);
}

TEST_F(HttpFetch, WhoWatchesMayGiveUp) {
  server_.serve("/file", {.body = body_});
  EXPECT_THROW(fetch_file(request(), [](std::uint64_t, std::uint64_t) { throw 5; }), int);
}

TEST_F(HttpFetch, APlaceThatCannotBeWrittenIsNamed) {
  server_.serve("/file", {.body = body_});
  FetchRequest bad = request();
  bad.path = folder_.path() / "none" / "file.part";
  EXPECT_THAT([&] { fetch_file(bad); }, ThrowsMessage<DataError>(HasSubstr("cannot create")));
}

}  // namespace
}  // namespace sbm::data
