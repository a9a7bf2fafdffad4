// A probe: its URL, then `option=value` separated by NUL, as the file, a label or the command line
// would set them.

#include <cmath>
#include <string>

#include "fuzz.hpp"
#include "protocol/hosts.hpp"
#include "protocol/json.hpp"
#include "protocol/probe_settings.hpp"

using namespace sentinel;

namespace {

void check_http(const core::HttpOptions& http) {
  fuzz::require(http.target.starts_with('/') && fuzz::printable(http.target) &&
                    http.target.find(' ') == std::string::npos,
                "a request target");
  fuzz::require(http.headers.size() <= protocol::max_headers, "bounded headers");
  for (const auto& [name, value] : http.headers) {
    fuzz::require(!name.empty() && name.find_first_of(" :\r\n\t") == std::string::npos,
                  "a header's name");
    fuzz::require(value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos,
                  "a header's value on one line");
  }
  for (const core::StatusRange& range : http.status)
    fuzz::require(range.from >= 100 && range.from <= range.to && range.to <= 599, "a status range");
  for (const core::JsonCheck& check : http.json) {
    fuzz::require(check.pointer.empty() || check.pointer.starts_with('/'), "a JSON pointer");
    const bool exists = check.op == core::JsonCheck::Op::exists;
    const auto value = protocol::json::parse(check.value);
    fuzz::require(exists == check.value.empty() && (exists || value.has_value()), "a JSON value");
  }
}

void check(const core::ProbeSpec& spec) {
  fuzz::require(fuzz::printable(spec.host), "a printable host");
  fuzz::require(spec.host.empty() || !protocol::forbidden_host(spec.host), "no forbidden host");
  const bool without_port =
      spec.kind == core::ProbeKind::icmp || spec.kind == core::ProbeKind::exec;
  fuzz::require((spec.port == 0) == without_port, "a port where there is one");
  fuzz::require(spec.fast_interval <= spec.interval, "fast is not slower");
  fuzz::require(spec.timeout > core::Duration{} && spec.slow < spec.timeout, "times in order");
  fuzz::require(spec.fall > 0 && (spec.fall_of == 0 || spec.fall <= spec.fall_of), "a fall");
  fuzz::require(spec.rise > 0 && (spec.rise_of == 0 || spec.rise <= spec.rise_of), "a rise");
  fuzz::require(spec.fall_of <= 64 && spec.rise_of <= 64, "a short memory");
  check_http(spec.http);
  fuzz::require(spec.tcp.send.size() <= protocol::max_expected_bytes &&
                    spec.tcp.expect.size() <= protocol::max_expected_bytes,
                "bounded bytes");
  for (const std::string* line : {&spec.smtp.ehlo, &spec.smtp.mail_from, &spec.smtp.rcpt_to})
    fuzz::require(fuzz::printable(*line) && line->size() <= 254, "an SMTP word");
  fuzz::require(spec.smtp.rcpt_to.empty() || !spec.smtp.mail_from.empty(), "no recipient alone");
  fuzz::require(spec.icmp.count >= 1 && spec.icmp.count <= 20 && spec.icmp.max_loss < 100,
                "packets in limits");
  fuzz::require(spec.kind != core::ProbeKind::dns || !spec.dns.name.empty(), "a name to ask for");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text = fuzz::view(data, size);
  const auto next = [&text] {
    const auto end = text.find('\0');
    const std::string_view part = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    return part;
  };
  core::ProbeSpec spec;
  if (!protocol::set_probe_url(spec, next())) return 0;
  const protocol::SettingsLimits limits;
  for (int i = 0; i < 100 && !text.empty(); ++i) {
    const std::string_view part = next();
    const auto equals = part.find('=');
    if (equals == std::string_view::npos) continue;
    const auto before = spec;
    if (!protocol::set_probe_option(spec, part.substr(0, equals), part.substr(equals + 1), limits))
      fuzz::require(spec == before, "an option that failed changes nothing");
  }
  if (protocol::settle_probe(spec).usable) check(spec);
  const auto again = protocol::settle_probe(spec);
  fuzz::require(again.usable ? again.problems.empty() : again.problems.size() == 1,
                "what is settled stays settled");
  return 0;
}
