#include "io/tls_client.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <format>
#include <iterator>
#include <optional>
#include <utility>

#include "core/ip.hpp"
#include "io/probe_text.hpp"
#include "protocol/escape.hpp"

namespace sentinel::io {

using core::ProbeReason;
using core::Verdict;

namespace {

constexpr std::size_t received_limit = std::size_t{1} << 20U;  // of the raw stream
constexpr std::size_t max_contexts = 64;
constexpr std::size_t name_limit = 100;  // bytes of a certificate's name in a sentence
/// Where distributions keep the authorities they trust, as one file.
constexpr std::array system_bundles{"/etc/ssl/certs/ca-certificates.crt",
                                    "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
                                    "/etc/ssl/cert.pem"};

std::int64_t unix_seconds() {
  using namespace std::chrono;
  return duration_cast<seconds>(system_clock::now().time_since_epoch()).count();
}

std::int64_t seconds_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return 0;
  using namespace std::chrono;
  const auto day = year{parts.tm_year + 1900} / month{static_cast<unsigned>(parts.tm_mon + 1)} /
                   std::chrono::day{static_cast<unsigned>(parts.tm_mday)};
  return duration_cast<seconds>(sys_days{day}.time_since_epoch()).count() + parts.tm_hour * 3600 +
         parts.tm_min * 60 + parts.tm_sec;
}

/// `3 days`, `1 day`, `5 hours`, `2 minutes`.
std::string span(std::int64_t seconds) {
  const auto say = [](std::int64_t count, const char* unit) {
    return std::format("{} {}{}", count, unit, count == 1 ? "" : "s");
  };
  if (seconds >= 86'400) return say(seconds / 86'400, "day");
  if (seconds >= 3600) return say(seconds / 3600, "hour");
  if (seconds >= 60) return say(seconds / 60, "minute");
  return say(std::max<std::int64_t>(seconds, 0), "second");
}

std::string shown(std::string_view text) { return protocol::one_line(text, name_limit); }

std::string common_name(const X509_NAME* name) {
  const int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
  if (at < 0) return {};
  const ASN1_STRING* text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<std::size_t>(ASN1_STRING_length(text))};
}

/// The first names a certificate is for.
std::string names_of(X509* leaf) {
  std::string names;
  auto* list =
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(leaf, NID_subject_alt_name, nullptr, nullptr));
  int left = 3;
  for (int i = 0; list != nullptr && i < sk_GENERAL_NAME_num(list) && left > 0; ++i) {
    const auto* name = sk_GENERAL_NAME_value(list, i);
    std::string text;
    if (name->type == GEN_DNS) {
      text.assign(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                  static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName)));
    } else if (name->type == GEN_IPADD) {
      core::IpAddress address;
      const auto size = static_cast<std::size_t>(ASN1_STRING_length(name->d.iPAddress));
      if (size != 4 && size != 16) continue;
      address.family = size == 4 ? core::Family::v4 : core::Family::v6;
      std::memcpy(address.bytes.data(), ASN1_STRING_get0_data(name->d.iPAddress), size);
      text = address.to_string();
    } else {
      continue;
    }
    --left;
    names += (names.empty() ? "" : ", ") + shown(text);
  }
  GENERAL_NAMES_free(list);
  if (names.empty()) names = shown(common_name(X509_get_subject_name(leaf)));
  return names.empty() ? "nobody" : names;
}

/// What went wrong while the chain was checked; the first of each sort. Kept with the SSL.
struct ChainFaults {
  int time = X509_V_OK;
  int trust = X509_V_OK;
  int name = X509_V_OK;
  std::string issuer;  // of the certificate whose issuer is not known or not trusted
};

int faults_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

ChainFaults* faults_of(const SSL* ssl) {
  return static_cast<ChainFaults*>(SSL_get_ex_data(ssl, faults_index()));
}

/// Takes note and goes on, so that all faults are known in the end.
int note_fault(int ok, X509_STORE_CTX* store) {
  if (ok == 1) return 1;
  const auto* ssl = static_cast<const SSL*>(
      X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* faults = faults_of(ssl);
  const int error = X509_STORE_CTX_get_error(store);
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      if (faults->time == X509_V_OK) faults->time = error;
      break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: faults->name = error; break;
    default:
      if (faults->trust == X509_V_OK) {
        faults->trust = error;
        if (auto* certificate = X509_STORE_CTX_get_current_cert(store))
          faults->issuer = shown(common_name(X509_get_issuer_name(certificate)));
      }
  }
  return 1;
}

std::string untrusted(const ChainFaults& faults) {
  const auto by = faults.issuer.empty() ? std::string{} : " (" + faults.issuer + ")";
  switch (faults.trust) {
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT: return "self-signed certificate";
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      return "certificate of an authority that is not trusted" + by;
    default:
      return std::string{"certificate is not trusted: "} +
             X509_verify_cert_error_string(faults.trust);
  }
}

std::string handshake_sentence(unsigned long error) {
  switch (ERR_GET_REASON(error)) {
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
    case SSL_R_NO_PROTOCOLS_AVAILABLE: return "the server's TLS version is too old";
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_BAD_RECORD_TYPE: return "expected TLS, got something else";
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
      return "the server refuses the TLS handshake (no common parameters)";
    default: {
      const char* text = ERR_reason_error_string(error);
      return "the TLS handshake failed: " + shown(text != nullptr ? text : "unknown error");
    }
  }
}

/// 0: it is not there. Anything but a regular file could block us for ever: nullopt.
std::optional<std::int64_t> changed_at(const std::string& file) {
  struct stat found{};
  if (::stat(file.c_str(), &found) != 0) return 0;
  if (!S_ISREG(found.st_mode)) return std::nullopt;
  return std::int64_t{found.st_mtim.tv_sec} * 1'000'000'000 + found.st_mtim.tv_nsec;
}

bool load_system_store(SSL_CTX* context) {
  for (const auto* file : system_bundles)
    if (SSL_CTX_load_verify_file(context, file) == 1) return true;
  return SSL_CTX_set_default_verify_paths(context) == 1;
}

}  // namespace

struct TlsClient::Wire {
  int fd = -1;
  std::size_t received = 0;
  int error = 0;  // errno that ended it
  bool ended = false;
  ChainFaults faults;
  BIO* bio = nullptr;

  static int write(BIO* bio, const char* data, int size) {
    auto* self = static_cast<Wire*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    const auto count = ::send(self->fd, data, static_cast<std::size_t>(size), MSG_NOSIGNAL);
    if (count >= 0) return static_cast<int>(count);
    if (errno == EAGAIN || errno == EINTR) {
      BIO_set_retry_write(bio);
    } else {
      self->error = errno;
    }
    return -1;
  }
  static int read(BIO* bio, char* data, int size) {
    auto* self = static_cast<Wire*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    if (self->received > received_limit) {
      self->error = EMSGSIZE;
      return -1;
    }
    const auto count = ::recv(self->fd, data, static_cast<std::size_t>(size), 0);
    if (count > 0) {
      self->received += static_cast<std::size_t>(count);
      return static_cast<int>(count);
    }
    if (count == 0) {
      self->ended = true;
      return 0;
    }
    if (errno == EAGAIN || errno == EINTR) {
      BIO_set_retry_read(bio);
    } else {
      self->error = errno;
    }
    return -1;
  }
  static long control(BIO* bio, int command, long /*number*/, void* /*data*/) {
    if (command == BIO_CTRL_FLUSH) return 1;
    if (command == BIO_CTRL_EOF) return static_cast<Wire*>(BIO_get_data(bio))->ended ? 1 : 0;
    return 0;
  }
  static BIO* make() {
    static BIO_METHOD* const method = [] {
      auto* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "probe");
      BIO_meth_set_write(made, &Wire::write);
      BIO_meth_set_read(made, &Wire::read);
      BIO_meth_set_ctrl(made, &Wire::control);
      return made;
    }();
    return BIO_new(method);
  }
};

TlsContexts::TlsContexts() = default;
TlsContexts::~TlsContexts() = default;

std::string system_authorities() {
  for (const auto* file : system_bundles)
    if (::access(file, R_OK) == 0) return file;
  return {};
}

std::expected<std::shared_ptr<ssl_ctx_st>, std::string> TlsContexts::get(
    const core::TlsOptions& options) {
  // Without verification no authorities are read.
  const std::string authorities = options.verify ? options.ca_file : std::string{};
  const auto changed =
      authorities.empty() ? std::optional{std::int64_t{0}} : changed_at(authorities);
  if (!changed) {
    return std::unexpected("the authorities in " + shown(authorities) +
                           " cannot be read: it is no regular file");
  }
  const What what{authorities, options.min_version, options.verify};
  if (const auto known = entries_.find(what);
      known != entries_.end() && known->second.changed == *changed) {
    return known->second.context;
  }
  if (entries_.size() >= max_contexts) entries_.clear();
  std::shared_ptr<ssl_ctx_st> context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  if (!context) return std::unexpected("TLS cannot be set up on this host");
  SSL_CTX_set_min_proto_version(context.get(), options.min_version == core::TlsVersion::tls1_3
                                                   ? TLS1_3_VERSION
                                                   : TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                         SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(context.get(), 1);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, note_fault);
  if (options.verify && !options.ca_file.empty()) {
    ERR_clear_error();
    if (SSL_CTX_load_verify_file(context.get(), options.ca_file.c_str()) != 1) {
      const char* why = ERR_reason_error_string(ERR_peek_last_error());
      const int error = *changed == 0 ? errno : 0;
      ERR_clear_error();
      return std::unexpected("the authorities in " + shown(options.ca_file) + " cannot be read: " +
                             (error != 0       ? shown(std::strerror(error))
                              : why != nullptr ? shown(why)
                                               : "not a PEM file"));
    }
  } else if (options.verify && !load_system_store(context.get())) {
    return std::unexpected("this host's certificate authorities cannot be read");
  }
  entries_.insert_or_assign(what, Entry{.context = context, .changed = *changed});
  return context;
}

core::ProbeOutcome judge_expiry(std::int64_t not_after, std::int64_t now,
                                const core::TlsOptions& options) {
  core::ProbeOutcome outcome;
  outcome.verdict = Verdict::pass;
  outcome.cert_not_after = not_after;
  const auto left = not_after - now;
  const auto within = [left](core::Duration limit) {
    return left < std::chrono::duration_cast<std::chrono::seconds>(limit).count();
  };
  if (left <= 0) {
    outcome.verdict = Verdict::fail;
    outcome.reason = ProbeReason::certificate_expired;
    outcome.sentence = "certificate expired " + span(-left) + " ago";
  } else if (within(options.expiry_fail)) {
    outcome.verdict = Verdict::fail;
    outcome.reason = ProbeReason::certificate_expired;
    outcome.sentence = "certificate expires in " + span(left);
  } else if (within(options.expiry_warn)) {
    outcome.verdict = Verdict::warn;
    outcome.reason = ProbeReason::expiring;
    outcome.sentence = "certificate expires in " + span(left);
  } else {
    outcome.sentence = "certificate valid for " + span(left);
  }
  return outcome;
}

TlsClient::TlsClient() = default;
TlsClient::~TlsClient() { reset(); }

void TlsClient::reset() {
  if (ssl_ != nullptr) SSL_free(std::exchange(ssl_, nullptr));  // and its BIO
  context_.reset();
  wire_.reset();
}

bool TlsClient::start(TlsContexts& contexts, int fd, const core::TlsOptions& options,
                      std::string_view host) {
  reset();
  verdict_ = {};
  failure_ = {};
  options_ = &options;
  name_ = options.server_name.empty() ? std::string{host} : options.server_name;
  while (name_.ends_with('.')) name_.pop_back();
  auto context = contexts.get(options);
  if (!context) {
    fail(ProbeReason::internal, std::move(context.error()));
    return false;
  }
  context_ = std::move(*context);
  wire_ = std::make_unique<Wire>();
  wire_->fd = fd;
  ssl_ = SSL_new(context_.get());
  BIO* bio = Wire::make();
  if (ssl_ == nullptr || bio == nullptr) {
    BIO_free(bio);
    reset();
    fail(ProbeReason::internal, "TLS cannot be set up on this host");
    return false;
  }
  BIO_set_data(bio, wire_.get());
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_, bio, bio);
  SSL_set_ex_data(ssl_, faults_index(), &wire_->faults);
  SSL_set_connect_state(ssl_);
  if (!name_.empty()) {
    auto* parameters = SSL_get0_param(ssl_);
    if (core::IpAddress::parse(name_)) {
      X509_VERIFY_PARAM_set1_ip_asc(parameters, name_.c_str());
    } else {
      // The macro SSL_set_tlsext_host_name() without its C cast.
      SSL_ctrl(ssl_, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name_.data());
      X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
      X509_VERIFY_PARAM_set1_host(parameters, name_.c_str(), name_.size());
    }
  }
  return true;
}

TlsClient::Progress TlsClient::fail(ProbeReason reason, std::string sentence) {
  failure_ = failed(reason, std::move(sentence));
  failure_.cert_not_after = verdict_.cert_not_after;
  return Progress::failed;
}

/// What a call that did not succeed means. `doing`: "in the TLS handshake".
TlsClient::Progress TlsClient::wants(int result, const char* doing) {
  const int error = SSL_get_error(ssl_, result);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return Progress::again;
  const auto code = ERR_peek_error();
  ERR_clear_error();
  if (wire_->error == EMSGSIZE) return fail(ProbeReason::tls, "the peer sends TLS without end");
  if (wire_->error != 0) {
    auto network = network_failure(wire_->error);
    return fail(network.reason, network.sentence + " " + doing);
  }
  if (error == SSL_ERROR_ZERO_RETURN) return Progress::closed;
  if (wire_->ended) return fail(ProbeReason::reset, std::string{"connection closed "} + doing);
  if (ERR_GET_REASON(code) == SSL_R_NO_RENEGOTIATION)
    return fail(ProbeReason::tls, "the peer asks for a TLS renegotiation");
  return fail(ProbeReason::tls, handshake_sentence(code));
}

TlsClient::Progress TlsClient::handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_);
  if (result == 1) return judge();
  const auto progress = wants(result, "in the TLS handshake");
  return progress == Progress::closed
             ? fail(ProbeReason::reset, "connection closed in the TLS handshake")
             : progress;
}

TlsClient::Progress TlsClient::judge() {
  X509* leaf = SSL_get0_peer_certificate(ssl_);
  if (leaf == nullptr) return fail(ProbeReason::tls, "the server has no certificate");
  const auto& faults = wire_->faults;
  // An expired one that is sent but not needed does no harm: a chain that holds is what counts.
  const bool chain_holds = options_->verify && faults.trust == X509_V_OK;
  const auto* chain = chain_holds ? SSL_get0_verified_chain(ssl_) : SSL_get_peer_cert_chain(ssl_);
  auto earliest = seconds_of(X509_get0_notAfter(leaf));
  for (int i = 0; chain != nullptr && i < sk_X509_num(chain); ++i)
    earliest = std::min(earliest, seconds_of(X509_get0_notAfter(sk_X509_value(chain, i))));
  const auto now = unix_seconds();
  verdict_ = judge_expiry(earliest, now, *options_);
  if (verdict_.verdict == Verdict::fail) return fail(verdict_.reason, verdict_.sentence);
  const auto begins = seconds_of(X509_get0_notBefore(leaf));
  if (begins > now) {
    return fail(ProbeReason::certificate_expired,
                "certificate is not valid yet, only in " + span(begins - now));
  }
  if (!options_->verify) return Progress::done;
  if (faults.trust != X509_V_OK) return fail(ProbeReason::certificate_untrusted, untrusted(faults));
  if (faults.time != X509_V_OK) {
    return fail(ProbeReason::certificate_expired,
                std::string{"certificate: "} + X509_verify_cert_error_string(faults.time));
  }
  if (faults.name != X509_V_OK) {
    return fail(ProbeReason::certificate_name,
                std::format("certificate is for {}, not {}", names_of(leaf), shown(name_)));
  }
  return Progress::done;
}

TlsClient::Progress TlsClient::send(std::string_view& bytes) {
  while (!bytes.empty()) {
    std::size_t count = 0;
    ERR_clear_error();
    const int result = SSL_write_ex(ssl_, bytes.data(), bytes.size(), &count);
    if (result != 1) {
      const auto progress = wants(result, "while sending");
      return progress == Progress::closed
                 ? fail(ProbeReason::reset, "connection closed while sending")
                 : progress;
    }
    bytes.remove_prefix(count);
  }
  return Progress::done;
}

TlsClient::Progress TlsClient::receive(char* into, std::size_t size, std::size_t& count) {
  count = 0;
  ERR_clear_error();
  const int result = SSL_read_ex(ssl_, into, size, &count);
  if (result == 1) return Progress::done;
  return wants(result, "while receiving");
}

std::string TlsClient::version() const {
  return ssl_ == nullptr ? std::string{} : SSL_get_version(ssl_);
}

}  // namespace sentinel::io
