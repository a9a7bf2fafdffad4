#pragma once

// Certificates of the tests' own, good and bad, made in memory.

#include <openssl/ssl.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

namespace sentinel::test {

struct Certificate {
  std::string names = "DNS:www.example.net,IP:127.0.0.1";  // as OpenSSL writes them
  std::chrono::hours starts{-24};                          // from now
  std::chrono::hours ends{24 * 365};
  bool self_signed = false;
  unsigned padding = 0;  // more certificates in the chain that nobody needs
};

class TestAuthority {
 public:
  explicit TestAuthority(const std::string& name = "Test authority");
  ~TestAuthority();
  TestAuthority(const TestAuthority&) = delete;
  TestAuthority& operator=(const TestAuthority&) = delete;

  /// PEM, for who trusts it.
  const std::string& file() const { return file_; }
  /// A server's context with a certificate of this authority.
  std::shared_ptr<SSL_CTX> server(const Certificate& certificate = {}) const;

 private:
  std::shared_ptr<EVP_PKEY> key_;
  std::shared_ptr<X509> certificate_;
  std::string file_;
};

}  // namespace sentinel::test
