#pragma once

namespace sentinel::app {

/// A small resident size counts more here than the speed of allocation: one arena, and large blocks
/// go back to the system. Call before the first thread.
void tune_allocator();

/// Gives back what only start-up needed: free heap, and the pages of code and constants, which stay
/// in the page cache and come back one by one when they are touched again. To be called once, when
/// the first list has been worked through.
void give_back_memory();

}  // namespace sentinel::app
