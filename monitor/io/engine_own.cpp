#include "io/engine_own.hpp"

#include <array>
#include <cstdio>
#include <memory>

namespace sentinel::io {
namespace {

std::string_view next_field(std::string_view& line) {
  while (line.starts_with(' ')) line.remove_prefix(1);
  const std::string_view field = line.substr(0, line.find(' '));
  line.remove_prefix(field.size());
  return field;
}

/// The last 64 hex digits that stand between slashes, dashes, dots or ends of the path.
std::optional<core::ContainerId> id_in_path(std::string_view path) {
  std::optional<core::ContainerId> found;
  while (!path.empty()) {
    const auto end = path.find_first_of("/-.:");
    if (const auto id = core::ContainerId::parse(path.substr(0, end))) found = id;
    if (end == std::string_view::npos) break;
    path.remove_prefix(end + 1);
  }
  return found;
}

template <class OnLine>
void for_lines(std::string_view text, OnLine on_line) {
  while (!text.empty()) {
    const auto end = text.find('\n');
    on_line(text.substr(0, end));
    if (end == std::string_view::npos) return;
    text.remove_prefix(end + 1);
  }
}

std::string read_file(const char* path) {
  constexpr std::size_t most = std::size_t{1} << 20U;
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path, "re"), &std::fclose);
  std::string text;
  std::array<char, 4096> buffer{};
  while (file && text.size() < most) {
    const std::size_t size = std::fread(buffer.data(), 1, buffer.size(), file.get());
    if (size == 0) break;
    text.append(buffer.data(), size);
  }
  return text;
}

}  // namespace

std::optional<core::ContainerId> own_container_id(std::string_view mountinfo,
                                                  std::string_view cgroup) {
  std::optional<core::ContainerId> found;
  for_lines(mountinfo, [&found](std::string_view line) {
    // proc(5): mount id, parent id, major:minor, root, mount point, ...
    for (int i = 0; i < 3; ++i) next_field(line);
    const std::string_view root = next_field(line);
    const std::string_view point = next_field(line);
    if (point != "/etc/hostname" && point != "/etc/hosts" && point != "/etc/resolv.conf") return;
    if (root.find("containers/") == std::string_view::npos) return;
    if (!found) found = id_in_path(root);
  });
  if (found) return found;
  for_lines(cgroup, [&found](std::string_view line) {
    // hierarchy:controllers:path; a nested container's own id is the last one.
    const auto path = line.rfind(':');
    if (!found && path != std::string_view::npos) found = id_in_path(line.substr(path + 1));
  });
  return found;
}

std::string own_container_id() {
  const auto id =
      own_container_id(read_file("/proc/self/mountinfo"), read_file("/proc/self/cgroup"));
  return id ? id->hex() : std::string();
}

}  // namespace sentinel::io
