# find_package(dfmerge 0.1 CONFIG REQUIRED)
# target_link_libraries(program PRIVATE dfmerge::dfmerge)
#
# The target carries <dfmerge.h> for C99 and C++11 on, and <dfmerge.hpp> for C++17 on.
if(dfmerge_FIND_COMPONENTS)
  foreach(component IN LISTS dfmerge_FIND_COMPONENTS)
    if(dfmerge_FIND_REQUIRED_${component})
      set(dfmerge_FOUND FALSE)
      set(dfmerge_NOT_FOUND_MESSAGE
        "dfmerge has no components, but '${component}' was asked for; remove COMPONENTS.")
      return()
    endif()
  endforeach()
endif()
include("${CMAKE_CURRENT_LIST_DIR}/dfmergeTargets.cmake")
