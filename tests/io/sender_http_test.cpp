// Alerts over HTTP: what is asked, what answers mean, and peers that mean harm.

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <format>

#include "sender_bed.hpp"

using namespace sentinel;
using namespace sentinel::test;
using namespace std::chrono_literals;
using core::SendResult;

namespace {

const Step ok = Say{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"};

std::string answer(const std::string& status, const std::string& headers = "",
                   const std::string& body = "") {
  return "HTTP/1.1 " + status + "\r\n" + headers +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::string header(const std::string& heard, const std::string& name) {
  const auto begin = heard.find("\r\n" + name + ": ");
  if (begin == std::string::npos) return {};
  const auto from = begin + name.size() + 4;
  return heard.substr(from, heard.find("\r\n", from) - from);
}

std::string hmac(const std::string& key, const std::string& text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data(), &size);
  std::string hex;
  for (unsigned i = 0; i < size; ++i) hex += std::format("{:02x}", digest[i]);
  return hex;
}

}  // namespace

TEST_CASE("a webhook is posted, signed, with its key, and accepted") {
  SenderBed bed;
  ScriptedPeer peer(bed.context(), {hear_all, ok});
  auto spec = webhook(peer.port(), "/hook?x=1");
  spec.signing_key = io::Secret{"0123456789abcdef"};
  spec.headers = {{"X-Team", io::Secret{"web"}}};
  const auto sent = bed.send(spec);
  check(sent, SendResult::accepted, "");
  CHECK(sent.took > core::Duration{});
  const auto& heard = peer.heard();
  CHECK(heard.starts_with("POST /hook?x=1 HTTP/1.1\r\n"));
  CHECK(header(heard, "Content-Type") == "application/json");
  CHECK(header(heard, "Idempotency-Key") == "01JNJ3Z7K8W9X0YABCDEFGHJKM:1:hook");
  CHECK(header(heard, "X-Team") == "web");
  CHECK(header(heard, "User-Agent") == "Sentinel");
  CHECK(header(heard, "Expect").empty());
  const auto signature = header(heard, "X-Sentinel-Signature");
  REQUIRE(signature.starts_with("t="));
  const auto comma = signature.find(',');
  const auto time = signature.substr(2, comma - 2);
  const auto body = heard.substr(heard.find("\r\n\r\n") + 4);
  CHECK(signature.substr(comma) == ",v1=" + hmac("0123456789abcdef", time + "." + body));
}

TEST_CASE("what answers mean") {
  SenderBed bed;
  const auto [status, result] = GENERATE(table<std::string, SendResult>({
      {"200 OK", SendResult::accepted},
      {"202 Accepted", SendResult::accepted},
      {"301 Moved", SendResult::permanent},
      {"400 Bad Request", SendResult::permanent},
      {"404 Not Found", SendResult::permanent},
      {"408 Timeout", SendResult::retry},
      {"410 Gone", SendResult::permanent},
      {"425 Too Early", SendResult::retry},
      {"429 Too Many", SendResult::retry},
      {"500 Oops", SendResult::retry},
      {"503 Unavailable", SendResult::retry},
      {"599 Strange", SendResult::retry},
  }));
  ScriptedPeer peer(bed.context(), {hear_all, Say{answer(status, "", "invalid_blocks <b>\x1b")}});
  check(
      bed.send(webhook(peer.port())), result,
      result == SendResult::accepted ? "" : "answered " + status.substr(0, 3) + ": invalid_blocks");
}

TEST_CASE("Retry-After is heeded within reason") {
  SenderBed bed;
  const auto [text, seconds] = GENERATE(table<std::string, int>({
      {"7", 7},
      {"0", 0},
      {"1000000000", 3600},
      {"99999999999999999999999999", 3600},
      {"Wed, 01 Jan 2020 00:00:00 GMT", 0},
      {"Fri, 01 Jan 2100 00:00:00 GMT", 3600},
      {"-5", -1},
      {"soon", -1},
      {"", -1},
  }));
  ScriptedPeer peer(bed.context(),
                    {hear_all, Say{answer("429 Slow", "Retry-After: " + text + "\r\n")}});
  const auto sent = bed.send(webhook(peer.port()));
  check(sent, SendResult::retry, "answered 429");
  INFO(text);
  CHECK(sent.retry_after.has_value() == (seconds >= 0));
  if (sent.retry_after) CHECK(*sent.retry_after == std::chrono::seconds{seconds});
}

TEST_CASE("peers that refuse, reset, hang, drip and flood are tried again") {
  SenderBed bed;
  check(bed.send(webhook(closed_port())), SendResult::retry, "failed to connect");
  const auto dies = GENERATE(Step{Reset{}}, Step{Hang{}}, Step{Flood{"X-A: b\r\n"}},
                             Step{Drip{"HTTP/1.1 200", 200ms}}, Step{Say{"nonsense\r\n\r\n"}});
  ScriptedPeer peer(bed.context(), {hear_all, dies});
  auto spec = webhook(peer.port());
  spec.timeout = 1s;
  check(bed.send(spec), SendResult::retry, "");
  CHECK(peer.said() < (std::size_t{4} << 20U));
}

TEST_CASE("a status that was heard counts, whatever becomes of the body") {
  SenderBed bed;
  const auto dies = GENERATE(Step{Reset{}}, Step{Hang{}}, Step{Flood{std::string(4096, 'x')}});
  ScriptedPeer peer(bed.context(),
                    {hear_all, Say{"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\nok"}, dies});
  auto spec = webhook(peer.port());
  spec.timeout = 5s;
  check(bed.send(spec), SendResult::accepted, "");
  CHECK(peer.said() < (std::size_t{8} << 20U));
}

TEST_CASE("redirects are not followed") {
  SenderBed bed;
  ScriptedPeer other(bed.context(), {hear_all, ok});
  ScriptedPeer peer(
      bed.context(),
      {hear_all, Say{answer("307 There", "Location: http://127.0.0.1:" +
                                             std::to_string(other.port()) + "/\r\n")}});
  check(bed.send(webhook(peer.port())), SendResult::permanent, "redirects are not followed");
  CHECK(other.accepted() == 0);
}

TEST_CASE("link-local and metadata addresses are refused where the connection is made") {
  SenderBed bed;
  auto spec = webhook(80);
  spec.url =
      io::Secret{GENERATE(as<std::string>{}, "http://169.254.169.254/latest", "http://[fe80::1]/",
                          "http://[::ffff:169.254.169.254]/", "http://100.100.100.200/",
                          "http://0xa9fea9fe/", "http://2852039166/", "http://0.0.0.0/")};
  check(bed.send(spec), SendResult::retry, "refused");
}

TEST_CASE("secrets never come back in a detail") {
  SenderBed bed;
  auto spec = webhook(0);
  spec.headers = {{"Authorization", io::Secret{"Bearer tk_topsecret"}}};
  spec.signing_key = io::Secret{"signing-topsecret"};
  ScriptedPeer peer(bed.context(),
                    {hear_all, Answer{[](std::string_view heard) {
                       return answer("400 No", "",
                                     "path /T0/B0/topsecret?k=topsecret token tk_topsecret " +
                                         std::string{heard.substr(0, 60)} + " signing-topsecret");
                     }}});
  spec.url = io::Secret{"http://127.0.0.1:" + std::to_string(peer.port()) +
                        "/T0/B0/topsecret?k=topsecret"};
  const auto sent = bed.send(spec);
  check(sent, SendResult::permanent, "***");
  CHECK(sent.detail.find("topsecret") == std::string::npos);
  ScriptedPeer proxy(bed.context(), {hear_all, Say{answer("400 No", "",
                                                          "user:topsecret dXNlcjp0b3BzZWNyZXQ= "
                                                          "topsecret /T0/B0/topse")}});
  spec.proxy = io::Secret{"http://user:topsecret@127.0.0.1:" + std::to_string(proxy.port())};
  check(bed.send(spec), SendResult::permanent, "answered 400: *** ***= *** ***");
  spec.proxy = {};
  CHECK(io::shown_address(spec) == "http://127.0.0.1:" + std::to_string(peer.port()));
}

TEST_CASE("certificates are verified") {
  SenderBed bed;
  const TestAuthority authority;
  const TestAuthority stranger("Strange authority");
  const auto good = authority.server();
  const auto other_name = authority.server({.names = "DNS:elsewhere.example.net"});
  const auto expired =
      authority.server({.starts = std::chrono::hours{-48}, .ends = std::chrono::hours{-24}});
  const auto try_with = [&](SSL_CTX* context, const std::string& ca) {
    ScriptedPeer peer(bed.context(), {Secure{context}, hear_all, ok});
    auto spec = webhook(peer.port());
    spec.url = io::Secret{"https://127.0.0.1:" + std::to_string(peer.port()) + "/"};
    spec.ca_file = ca;
    return bed.send(spec);
  };
  check(try_with(good.get(), authority.file()), SendResult::accepted, "");
  check(try_with(good.get(), stranger.file()), SendResult::retry, "certificate");
  check(try_with(other_name.get(), authority.file()), SendResult::retry, "SSL");
  check(try_with(expired.get(), authority.file()), SendResult::retry, "certificate");
  check(try_with(good.get(), ""), SendResult::retry, "certificate");
  check(try_with(good.get(), "/nonexistent/ca.pem"), SendResult::retry, "");
}

TEST_CASE("proxies are honoured: plain, and through a tunnel") {
  SenderBed bed;
  ScriptedPeer plain(bed.context(), {hear_all, ok});
  auto spec = webhook(80);
  spec.url = io::Secret{"http://hooks.example.net/x"};
  spec.proxy = io::Secret{"http://user:topsecret@127.0.0.1:" + std::to_string(plain.port())};
  check(bed.send(spec), SendResult::accepted, "");
  CHECK(plain.heard().starts_with("POST http://hooks.example.net/x HTTP/1.1\r\n"));
  CHECK(header(plain.heard(), "Proxy-Authorization").starts_with("Basic "));

  const TestAuthority authority;
  const auto server = authority.server();
  ScriptedPeer tunnel(bed.context(), {Hear{"\r\n\r\n"}, Say{"HTTP/1.1 200 go\r\n\r\n"},
                                      Secure{server.get()}, hear_all, ok});
  spec.url = io::Secret{"https://www.example.net/x"};
  spec.ca_file = authority.file();
  spec.proxy = io::Secret{"http://127.0.0.1:" + std::to_string(tunnel.port())};
  check(bed.send(spec), SendResult::accepted, "");
  CHECK(tunnel.heard().starts_with("CONNECT www.example.net:443 HTTP/1.1\r\n"));

  ScriptedPeer refuses(bed.context(), {Hear{"\r\n\r\n"}, Say{answer("403 No")}});
  spec.proxy = io::Secret{"http://127.0.0.1:" + std::to_string(refuses.port())};
  check(bed.send(spec), SendResult::retry, "");
}
