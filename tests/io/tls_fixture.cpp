#include "tls_fixture.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>

namespace sentinel::test {

namespace {

std::shared_ptr<EVP_PKEY> make_key() { return {EVP_EC_gen("P-256"), EVP_PKEY_free}; }

void extend(X509* certificate, int what, const std::string& value) {
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, what, value.c_str());
  REQUIRE(extension != nullptr);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

/// Not signed yet.
std::shared_ptr<X509> make_certificate(const std::string& name, EVP_PKEY* key,
                                       std::chrono::hours starts, std::chrono::hours ends) {
  static long serial = 0;
  std::shared_ptr<X509> made(X509_new(), X509_free);
  X509_set_version(made.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(made.get()), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(made.get()), std::chrono::seconds{starts}.count());
  X509_gmtime_adj(X509_getm_notAfter(made.get()), std::chrono::seconds{ends}.count());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(made.get()), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_pubkey(made.get(), key);
  return made;
}

}  // namespace

TestAuthority::TestAuthority(const std::string& name) : key_(make_key()) {
  certificate_ =
      make_certificate(name, key_.get(), std::chrono::hours{-24}, std::chrono::hours{24 * 3650});
  X509_set_issuer_name(certificate_.get(), X509_get_subject_name(certificate_.get()));
  extend(certificate_.get(), NID_basic_constraints, "critical,CA:TRUE");
  REQUIRE(X509_sign(certificate_.get(), key_.get(), EVP_sha256()) > 0);
  std::string pattern = (std::filesystem::temp_directory_path() / "authority-XXXXXX").string();
  const int fd = ::mkstemp(pattern.data());
  REQUIRE(fd >= 0);
  std::FILE* file = ::fdopen(fd, "w");
  REQUIRE(PEM_write_X509(file, certificate_.get()) == 1);
  std::fclose(file);
  file_ = pattern;
}

TestAuthority::~TestAuthority() { ::unlink(file_.c_str()); }

std::shared_ptr<SSL_CTX> TestAuthority::server(const Certificate& certificate) const {
  const auto key = make_key();
  const auto leaf =
      make_certificate("www.example.net", key.get(), certificate.starts, certificate.ends);
  X509_set_issuer_name(leaf.get(), certificate.self_signed
                                       ? X509_get_subject_name(leaf.get())
                                       : X509_get_subject_name(certificate_.get()));
  extend(leaf.get(), NID_basic_constraints, "critical,CA:FALSE");
  extend(leaf.get(), NID_subject_alt_name, certificate.names);
  REQUIRE(X509_sign(leaf.get(), certificate.self_signed ? key.get() : key_.get(), EVP_sha256()) >
          0);
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  REQUIRE(SSL_CTX_use_certificate(context.get(), leaf.get()) == 1);
  REQUIRE(SSL_CTX_use_PrivateKey(context.get(), key.get()) == 1);
  for (unsigned i = 0; i < certificate.padding; ++i)
    REQUIRE(SSL_CTX_add1_chain_cert(context.get(), certificate_.get()) == 1);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  return context;
}

}  // namespace sentinel::test
