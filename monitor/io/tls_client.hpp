#pragma once

// The client's side of TLS on a connected, non-blocking socket; OpenSSL on our own socket calls.
//
// Certificates are judged after the handshake and before anything is sent, so that the reason is
// known exactly: expired or not yet valid, then unknown authority, then name. The time left is
// looked at even when `verify` is off. No renegotiation, no resumption, no compression; a peer may
// send a megabyte in all.

#include <cstddef>
#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#include "core/probe_spec.hpp"

struct ssl_st;
struct ssl_ctx_st;

namespace sentinel::io {

/// Contexts by what they are for, made when first needed; certificates of authorities are read
/// then, and again when the file has changed.
class TlsContexts {
 public:
  TlsContexts();
  ~TlsContexts();
  TlsContexts(const TlsContexts&) = delete;
  TlsContexts& operator=(const TlsContexts&) = delete;

  /// The error is a sentence: "cannot read /etc/ca.pem: ...".
  std::expected<std::shared_ptr<ssl_ctx_st>, std::string> get(const core::TlsOptions& options);

 private:
  struct Entry {
    std::shared_ptr<ssl_ctx_st> context;
    std::int64_t changed = 0;  // of the file, ns
  };
  using What = std::tuple<std::string, core::TlsVersion, bool>;
  std::map<What, Entry> entries_;
};

/// The file in which the distribution keeps the authorities it trusts; empty: none is where they
/// usually are.
std::string system_authorities();

/// How long a certificate holds, in words: "certificate expires in 3 days".
core::ProbeOutcome judge_expiry(std::int64_t not_after, std::int64_t now,
                                const core::TlsOptions& options);

class TlsClient {
 public:
  enum class Progress : std::uint8_t {
    again,  // call again when the socket is ready
    done,
    closed,  // receive() only: the peer ended the stream properly
    failed,  // see failure()
  };

  TlsClient();
  ~TlsClient();
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  /// `host` is the URL's (a name, an address or empty) and counts when options.server_name is
  /// empty. The descriptor stays the caller's. False: see failure().
  bool start(TlsContexts& contexts, int fd, const core::TlsOptions& options, std::string_view host);
  /// Until done; then the certificate was judged, and what it is worth is in verdict().
  Progress handshake();
  /// Takes from the front of `bytes` what could be sent.
  Progress send(std::string_view& bytes);
  /// Up to `size` bytes to `into`; `count` of them came. `again` has count 0.
  Progress receive(char* into, std::size_t size, std::size_t& count);
  /// Forgets everything; nothing is sent.
  void reset();

  bool active() const { return ssl_ != nullptr; }
  /// Pass, or warn (expiring), once the handshake is done; sentence and cert_not_after as well.
  const core::ProbeOutcome& verdict() const { return verdict_; }
  /// Once something has failed: a reason with its sentence. The verdict on the certificate stays.
  const core::ProbeOutcome& failure() const { return failure_; }
  /// The earliest end in the chain, s since 1970, as soon as there is a certificate.
  std::optional<std::int64_t> not_after() const { return verdict_.cert_not_after; }
  /// `TLSv1.3`, once the handshake is done.
  std::string version() const;

 private:
  struct Wire;  // the socket as OpenSSL sees it, with what may still be received

  Progress wants(int result, const char* doing);
  Progress fail(core::ProbeReason reason, std::string sentence);
  Progress judge();

  std::unique_ptr<Wire> wire_;
  std::shared_ptr<ssl_ctx_st> context_;
  ssl_st* ssl_ = nullptr;
  const core::TlsOptions* options_ = nullptr;
  std::string name_;  // to be found in the certificate; empty: not checked
  core::ProbeOutcome verdict_;
  core::ProbeOutcome failure_;
};

}  // namespace sentinel::io
