// The part of the file that says what the public status page shows.

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <string>

#include "config_texts.hpp"

using namespace sentinel;
using namespace sentinel::app;

TEST_CASE("a status page with lines of one service and of several") {
  CHECK_FALSE(MonitorConfig{}.status_page.any());
  const MonitorConfig config = config_of(R"(
status-page:
  title: "Shop\tstatus"
  services:
    - shop/web
    - db
    - shop/cache/2
    - {service: shop/api, name: Checkout}
    - service: [mail/*, "dns"]
      name: Mail & more
)");
  CHECK(config.status_page.title == "Shop status");
  CHECK(config.status_page.lines ==
        std::vector<web::StatusLine>{{"web", {"shop/web"}},
                                     {"db", {"db"}},
                                     {"cache", {"shop/cache/2"}},
                                     {"Checkout", {"shop/api"}},
                                     {"Mail & more", {"mail/*", "dns"}}});
}

TEST_CASE("a title may be left out") {
  const MonitorConfig config = config_of("status-page: {services: [web]}");
  CHECK(config.status_page.title == "Status");
}

TEST_CASE("errors of the status page name their place and what was expected") {
  struct Case {
    const char* text;
    const char* error;
  };
  const auto [text, error] = GENERATE(
      Case{"status_page:\n  services: [web]\n",
           "f.yaml:1:1: status_page: unknown key; did you mean 'status-page'?"},
      Case{"status-page:\n  service: [web]\n  services: [web]\n",
           "f.yaml:2:3: status-page.service: unknown key; did you mean 'services'?"},
      Case{"status-page:\n  services:\n    - {service: web, nam: Shop}\n",
           "f.yaml:3:22: status-page.services[0].nam: unknown key; did you mean 'name'?"},
      Case{"status-page: {title: A}\n",
           "f.yaml:1:14: status-page.services: expected this key: the services that are shown"},
      Case{"status-page: web\n", "f.yaml:1:14: status-page: expected a mapping of keys to values"},
      Case{"status-page: {services: []}\n",
           "f.yaml:1:25: status-page.services: expected at least one service"},
      Case{"status-page: {services: web}\n", "f.yaml:1:25: status-page.services: expected a list"},
      Case{"status-page:\n  services:\n    - web\n    - {name: Shop}\n",
           "f.yaml:4:7: status-page.services[1].service: expected this key: what is shown"},
      Case{"status-page:\n  services: ['shop/*']\n",
           "f.yaml:2:14: status-page.services[0].name: expected this key: what is shown stands for "
           "several services"},
      Case{"status-page:\n  services: ['a,b']\n",
           "f.yaml:2:14: status-page.services[0].name: expected this key: what is shown stands for "
           "several services"},
      Case{"status-page:\n  services: [shop/web, blog/web]\n",
           "f.yaml:2:24: status-page.services[1].name: expected a name that no other has: give it "
           "one of its own, got 'web'"},
      Case{"status-page:\n  services: [web, {service: a, name: web}]\n",
           "f.yaml:2:19: status-page.services[1].name: expected a name that no other has, got "
           "'web'"},
      Case{"status-page:\n  services: [[a, b]]\n",
           "f.yaml:2:14: status-page.services[0]: expected a single value, not a list"},
      Case{"status-page:\n  services: ['a b']\n",
           "f.yaml:2:14: status-page.services[0]: expected a list of services such as shop/*, in "
           "which * stands for anything, at most 64 of them, got 'a b'"},
      Case{"status-page:\n  title: ' '\n  services: [a]\n",
           "f.yaml:2:10: status-page.title: expected a text of at most 128 bytes, got ''"});
  const auto errors = errors_of(text);
  REQUIRE(errors.size() == 1);
  CHECK(errors.front().to_string() == error);
}

TEST_CASE("lines of the status page are bounded") {
  std::string text = "status-page:\n  services:\n";
  for (int i = 0; i < 200; ++i) text += "    - s" + std::to_string(i) + "\n";
  CHECK(errors_of(text).empty());
  const auto errors = errors_of(text + "    - one-more\n");
  REQUIRE(errors.size() == 1);
  CHECK(errors.front().text == "expected at most 200 services, got 201");
}
