#include "protocol/dns.hpp"

#include <ares.h>
#include <ares_dns_record.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <format>
#include <memory>
#include <span>
#include <utility>

#include "core/ip.hpp"
#include "protocol/escape.hpp"

namespace sentinel::protocol {
namespace {

using core::ProbeReason;
using core::Verdict;

constexpr std::size_t header_bytes = 12;
constexpr unsigned longest_alias_chain = 16;
constexpr std::size_t shown_bytes = 120;
constexpr std::size_t shown_records = 4;

struct Destroy {
  void operator()(ares_dns_record_t* record) const { ares_dns_record_destroy(record); }
  void operator()(unsigned char* text) const { ares_free_string(text); }
};
using Record = std::unique_ptr<ares_dns_record_t, Destroy>;

Record parse(std::string_view message) {
  ares_dns_record_t* record = nullptr;
  const auto status = ares_dns_parse(reinterpret_cast<const unsigned char*>(message.data()),
                                     message.size(), 0, &record);
  return Record(status == ARES_SUCCESS ? record : nullptr);
}

/// ASCII only, as names are compared (RFC 4343).
std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

std::string name_of(const char* name) {
  std::string result = lower(name == nullptr ? "" : name);
  if (result.ends_with('.')) result.pop_back();
  return result.empty() ? "." : result;
}

std::string address(core::Family family, const void* bytes, std::size_t size) {
  if (bytes == nullptr) return {};
  core::IpAddress result{.family = family};
  std::copy_n(static_cast<const std::uint8_t*>(bytes), size, result.bytes.begin());
  return result.to_string();
}

std::string hex(std::span<const unsigned char> bytes) {
  std::string result;
  for (const unsigned char byte : bytes) result += std::format("{:02x}", byte);
  return result;
}

std::string bytes_text(const unsigned char* data, std::size_t size) {
  return data == nullptr ? std::string{} : std::string(reinterpret_cast<const char*>(data), size);
}

std::string field_text(const ares_dns_rr_t* rr, ares_dns_rr_key_t key) {
  std::size_t size = 0;
  switch (ares_dns_rr_key_datatype(key)) {
    case ARES_DATATYPE_INADDR: return address(core::Family::v4, ares_dns_rr_get_addr(rr, key), 4);
    case ARES_DATATYPE_INADDR6:
      return address(core::Family::v6, ares_dns_rr_get_addr6(rr, key), 16);
    case ARES_DATATYPE_U8: return std::to_string(ares_dns_rr_get_u8(rr, key));
    case ARES_DATATYPE_U16: return std::to_string(ares_dns_rr_get_u16(rr, key));
    case ARES_DATATYPE_U32: return std::to_string(ares_dns_rr_get_u32(rr, key));
    case ARES_DATATYPE_NAME: return name_of(ares_dns_rr_get_str(rr, key));
    case ARES_DATATYPE_STR: {
      const char* text = ares_dns_rr_get_str(rr, key);
      return text == nullptr ? "" : text;
    }
    case ARES_DATATYPE_BINP: {
      const unsigned char* data = ares_dns_rr_get_bin(rr, key, &size);
      return bytes_text(data, size);
    }
    case ARES_DATATYPE_ABINP: {
      std::string joined;
      for (std::size_t i = 0; i < ares_dns_rr_get_abin_cnt(rr, key); ++i) {
        const unsigned char* data = ares_dns_rr_get_abin(rr, key, i, &size);
        joined += bytes_text(data, size);
      }
      return joined;
    }
    case ARES_DATATYPE_BIN: {
      const unsigned char* data = ares_dns_rr_get_bin(rr, key, &size);
      return data == nullptr ? std::string{} : hex({data, size});
    }
    case ARES_DATATYPE_OPT: break;  // parameters of a service binding: not compared
  }
  return {};
}

std::uint16_t type_of(const ares_dns_rr_t* rr) {
  const auto type = ares_dns_rr_get_type(rr);
  if (type == ARES_REC_TYPE_RAW_RR) return ares_dns_rr_get_u16(rr, ARES_RR_RAW_RR_TYPE);
  return static_cast<std::uint16_t>(type);
}

std::string record_text(const ares_dns_rr_t* rr) {
  std::size_t count = 0;
  const auto* keys = ares_dns_rr_get_keys(ares_dns_rr_get_type(rr), &count);
  std::string text;
  for (const auto key : std::span(keys, keys == nullptr ? 0 : count)) {
    if (key == ARES_RR_RAW_RR_TYPE) continue;
    if (!text.empty()) text += ' ';
    text += field_text(rr, key);
  }
  return text;
}

std::vector<std::string> records_for(const ares_dns_record_t* record, const DnsQuery& query) {
  std::vector<const ares_dns_rr_t*> answers;
  for (std::size_t i = 0; i < ares_dns_record_rr_cnt(record, ARES_SECTION_ANSWER); ++i) {
    const auto* rr = ares_dns_record_rr_get_const(record, ARES_SECTION_ANSWER, i);
    if (rr != nullptr && ares_dns_rr_get_class(rr) == ARES_CLASS_IN) answers.push_back(rr);
  }
  // An alias leads on, a bounded number of times: it may lead to itself.
  std::vector<std::string> records;
  std::string name = query.name;
  for (unsigned step = 0; step <= longest_alias_chain; ++step) {
    std::string alias;
    for (const auto* rr : answers) {
      if (name_of(ares_dns_rr_get_name(rr)) != name) continue;
      if (type_of(rr) == query.type || query.type == ARES_REC_TYPE_ANY) {
        if (records.size() < dns_records) records.push_back(record_text(rr));
      } else if (type_of(rr) == ARES_REC_TYPE_CNAME) {
        alias = name_of(ares_dns_rr_get_str(rr, ARES_RR_CNAME_CNAME));
      }
    }
    if (!records.empty() || alias.empty() || alias == name) break;
    name = std::move(alias);
  }
  return records;
}

bool same_question(const ares_dns_record_t* record, const DnsQuery& query) {
  const char* name = nullptr;
  ares_dns_rec_type_t type{};
  ares_dns_class_t in{};
  return ares_dns_record_query_get(record, 0, &name, &type, &in) == ARES_SUCCESS &&
         name_of(name) == query.name && static_cast<unsigned>(type) == query.type &&
         in == ARES_CLASS_IN;
}

/// Fields that are text, not names.
bool case_matters(std::uint16_t type) {
  return type == ARES_REC_TYPE_CAA || type == ARES_REC_TYPE_HINFO || type == ARES_REC_TYPE_URI ||
         type == ARES_REC_TYPE_NAPTR;
}

/// Words without their quotes and trailing dots, joined by one space. The text of TXT keeps its
/// white space and its dots.
std::string normal(std::string_view record, std::uint16_t type) {
  if (type == ARES_REC_TYPE_A || type == ARES_REC_TYPE_AAAA) {
    const auto parsed = core::IpAddress::parse(record);
    return parsed ? parsed->to_string() : std::string(record);
  }
  std::string result;
  if (type == ARES_REC_TYPE_TXT) {
    // "one" "two" is onetwo.
    if (!record.starts_with('"') || !record.ends_with('"')) return std::string(record);
    bool inside = false;
    for (const char c : record) {
      if (c == '"')
        inside = !inside;
      else if (inside)
        result += c;
    }
    return result;
  }
  while (!record.empty()) {
    const auto end = std::min(record.find(' '), record.size());
    std::string_view word = record.substr(0, end);
    record.remove_prefix(std::min(end + 1, record.size()));
    if (word.size() >= 2 && word.front() == '"' && word.back() == '"')
      word = word.substr(1, word.size() - 2);
    else if (word.size() > 1 && word.ends_with('.'))
      word.remove_suffix(1);
    if (word.empty()) continue;
    if (!result.empty()) result += ' ';
    result += word;
  }
  return case_matters(type) ? result : lower(result);
}

std::string shown(const std::vector<std::string>& records) {
  std::string text;
  for (std::size_t i = 0; i < std::min(records.size(), shown_records); ++i) {
    if (i > 0) text += ", ";
    text += one_line(records[i], shown_bytes);
  }
  if (records.size() > shown_records)
    text += std::format(" and {} more", records.size() - shown_records);
  return text;
}

}  // namespace

std::expected<DnsQuery, Error> make_dns_query(std::string_view name, std::uint16_t type,
                                              std::uint16_t id) {
  ares_dns_record_t* made = nullptr;
  if (ares_dns_record_create(&made, id, ARES_FLAG_RD, ARES_OPCODE_QUERY, ARES_RCODE_NOERROR) !=
      ARES_SUCCESS)
    return std::unexpected(Error{"no memory for a DNS question"});
  const Record record(made);
  ares_dns_rr_t* opt = nullptr;
  bool good = ares_dns_record_query_add(record.get(), std::string(name).c_str(),
                                        static_cast<ares_dns_rec_type_t>(type),
                                        ARES_CLASS_IN) == ARES_SUCCESS &&
              ares_dns_record_rr_add(&opt, record.get(), ARES_SECTION_ADDITIONAL, "",
                                     ARES_REC_TYPE_OPT, ARES_CLASS_IN, 0) == ARES_SUCCESS &&
              ares_dns_rr_set_u16(opt, ARES_RR_OPT_UDP_SIZE,
                                  static_cast<unsigned short>(dns_udp_bytes)) == ARES_SUCCESS &&
              ares_dns_rr_set_u8(opt, ARES_RR_OPT_VERSION, 0) == ARES_SUCCESS &&
              ares_dns_rr_set_u16(opt, ARES_RR_OPT_FLAGS, 0) == ARES_SUCCESS;
  unsigned char* written = nullptr;
  std::size_t size = 0;
  good = good && ares_dns_write(record.get(), &written, &size) == ARES_SUCCESS;
  const std::unique_ptr<unsigned char, Destroy> buffer(written);
  DnsQuery query{.type = type, .id = id};
  if (good) {
    query.bytes = bytes_text(buffer.get(), size);
    // Read back: escapes are then spelled as in the answers.
    const Record own = parse(query.bytes);
    const char* spelled = nullptr;
    ares_dns_rec_type_t asked{};
    ares_dns_class_t in{};
    good = own && ares_dns_record_query_get(own.get(), 0, &spelled, &asked, &in) == ARES_SUCCESS;
    if (good) query.name = name_of(spelled);
  }
  if (!good || name.contains('\0'))
    return std::unexpected(Error{one_line(std::format("\"{}\" is no DNS name", name))});
  return query;
}

DnsReading read_dns_answer(const DnsQuery& query, std::string_view message) {
  const auto byte = [message](std::size_t at) {
    return static_cast<unsigned>(static_cast<unsigned char>(message[at]));
  };
  if (message.size() < header_bytes) return DnsForeign{};
  if (byte(0) != query.id >> 8U || byte(1) != (query.id & 0xFFU)) return DnsForeign{};
  const bool response = (byte(2) & 0x80U) != 0;
  const unsigned opcode = (byte(2) >> 3U) & 0x0FU;
  if (!response || opcode != 0) return DnsForeign{};
  const unsigned questions = byte(4) << 8U | byte(5);
  const unsigned answers = byte(6) << 8U | byte(7);
  const unsigned rcode = byte(3) & 0x0FU;
  if (questions == 0 && answers == 0 && rcode != ARES_RCODE_NOERROR && rcode != ARES_RCODE_NXDOMAIN)
    return DnsAnswer{rcode, {}};  // who refuses a message may leave the question out (RFC 8906, 3)
  if (questions != 1) return DnsForeign{};
  const Record record = parse(message);
  // A question that can be read must be ours; what is cut off need not be readable.
  if (record && !same_question(record.get(), query)) return DnsForeign{};
  if ((byte(2) & 0x02U) != 0) return DnsTruncated{};
  if (!record) return Error{"the DNS answer is malformed"};
  // c-ares calls a code that it does not know SERVFAIL.
  const auto known = static_cast<unsigned>(ares_dns_record_get_rcode(record.get()));
  return DnsAnswer{(known & 0x0FU) == rcode ? known : rcode, records_for(record.get(), query)};
}

core::ProbeOutcome judge_dns(const core::DnsOptions& options, const DnsAnswer& answer) {
  core::ProbeOutcome outcome;
  outcome.code = answer.rcode;
  if (answer.rcode != options.rcode) {
    outcome.reason = ProbeReason::rcode;
    outcome.sentence = std::format("expected {}, got {}", dns_rcode_name(options.rcode),
                                   dns_rcode_name(answer.rcode));
    return outcome;
  }
  const auto type = options.type;
  if (answer.records.empty() && (options.rcode == 0 || !options.expect.empty())) {
    outcome.reason = ProbeReason::answer;
    outcome.sentence = options.expect.empty()
                           ? std::format("the answer has no {} record", dns_type_name(type))
                           : std::format("expected {}, got no {} record", shown(options.expect),
                                         dns_type_name(type));
    return outcome;
  }
  std::vector<std::string> got;
  got.reserve(answer.records.size());
  for (const auto& record : answer.records)
    got.push_back(type == ARES_REC_TYPE_TXT ? record : normal(record, type));
  for (const auto& expected : options.expect) {
    if (std::ranges::contains(got, normal(expected, type))) continue;
    outcome.reason = ProbeReason::answer;
    outcome.sentence =
        std::format("expected {}, got {}", one_line(expected, shown_bytes), shown(answer.records));
    return outcome;
  }
  outcome.verdict = Verdict::pass;
  return outcome;
}

std::string dns_rcode_name(unsigned rcode) {
  if (rcode > ARES_RCODE_BADCOOKIE) return std::format("rcode {}", rcode);
  const std::string_view name = ares_dns_rcode_tostr(static_cast<ares_dns_rcode_t>(rcode));
  return name == "UNKNOWN" ? std::format("rcode {}", rcode) : std::string(name);
}

std::string dns_type_name(std::uint16_t type) {
  const std::string_view name = ares_dns_rec_type_tostr(static_cast<ares_dns_rec_type_t>(type));
  return name == "UNKNOWN" || name == "RAWRR" ? std::format("TYPE{}", type) : std::string(name);
}

}  // namespace sentinel::protocol
