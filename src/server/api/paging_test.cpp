#include "server/api/paging.hpp"

#include <gtest/gtest.h>

namespace godwit::api {
namespace {

TEST(Filter, reads_every_form_the_lists_allow) {
  const auto status = parse_filter("status eq 'NotStarted' or status eq 'Running'");
  ASSERT_TRUE(status) << status.error().message;
  ASSERT_EQ(status->terms.size(), 2U);
  EXPECT_TRUE(status->is_or);
  EXPECT_EQ(std::get<std::string>(status->terms[1].literal), "Running");

  const auto devices = parse_filter("GroupId eq 'it''s' AND deploymentStatus EQ null");
  ASSERT_TRUE(devices) << devices.error().message;
  EXPECT_FALSE(devices->is_or);
  EXPECT_EQ(devices->terms[0].path, "groupid");
  EXPECT_EQ(std::get<std::string>(devices->terms[0].literal), "it's");
  EXPECT_TRUE(std::holds_alternative<std::nullptr_t>(devices->terms[1].literal));

  const auto deployable = parse_filter("isDeployable eq true");
  ASSERT_TRUE(deployable);
  EXPECT_TRUE(std::get<bool>(deployable->terms[0].literal));

  const auto property = parse_filter("compatProperties/Model eq 'Toaster'");
  ASSERT_TRUE(property);
  EXPECT_EQ(property->terms[0].path, "compatproperties/model");
}

TEST(Filter, refuses_everything_else_and_names_the_column) {
  struct Case {
    const char* text;
    const char* says;
  };
  for (const auto& [text, says] :
       {Case{"", "column 1"}, Case{"a", "expects 'eq'"}, Case{"a eq", "column 5"}, Case{"a ne 'b'", "expects 'eq'"},
        Case{"a eq 'b", "quoted"}, Case{"a eq 'b' c eq 'd'", "'and' or 'or'"}, Case{"a eq 'b' and", "property name"},
        Case{"a eq 'b' and c eq 'd' or e eq 'f'", "mixes"}, Case{"a eq b", "single quotes"},
        Case{"a eq 'b')", "'and' or 'or'"}, Case{"a eq '\xff'", "UTF-8"}}) {
    const auto filter = parse_filter(text);
    ASSERT_FALSE(filter) << text;
    EXPECT_EQ(filter.error().code, Code::invalid_argument) << text;
    EXPECT_NE(filter.error().message.find(says), std::string::npos) << text << " -> " << filter.error().message;
  }
}

TEST(Filter, has_limits) {
  std::string many = "a eq 'b'";
  for (int i = 0; i < 15; ++i) many += " and a eq 'b'";
  EXPECT_TRUE(parse_filter(many));
  EXPECT_FALSE(parse_filter(many + " and a eq 'b'"));
  EXPECT_FALSE(parse_filter("a eq '" + std::string(2048, 'x') + "'"));
}

TEST(Page, next_link_keeps_the_query_and_brings_the_token_back) {
  Request request;
  request.path = "/deviceUpdate/i/updates";
  request.query = {{"api-version", "2022-10-01"}, {"filter", "isDeployable eq true"}, {"skiptoken", "b2xk"}};
  const Reply reply = page(request, json::Array{1, 2}, "Contoso/Toaster/1.0");
  const auto body = json::parse_object(reply.body);
  ASSERT_TRUE(body);
  const std::string link = *json::text_or_nothing(*body, "nextLink");
  EXPECT_TRUE(
      link.starts_with("/deviceUpdate/i/updates?api-version=2022-10-01&filter=isDeployable%20eq%20true&skiptoken="))
      << link;
  Request next;
  next.query = {{"skiptoken", link.substr(link.find("skiptoken=") + 10)}};
  const auto token = page_token(next);
  ASSERT_TRUE(token);
  EXPECT_EQ(*token, "Contoso/Toaster/1.0");
}

TEST(Page, the_last_page_has_an_empty_value_and_no_link) {
  const Reply reply = page(Request{}, json::Array{}, "");
  EXPECT_EQ(reply.body, R"({"value":[]})");
}

TEST(Page, a_made_up_token_is_refused) {
  Request request;
  EXPECT_EQ(*page_token(request), "");
  request.query["skiptoken"] = "%%%";
  EXPECT_FALSE(page_token(request));
  request.query["skiptoken"] = std::string(5000, 'a');
  EXPECT_FALSE(page_token(request));
}

}  // namespace
}  // namespace godwit::api
