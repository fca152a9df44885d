"""Reading of XLSX workbooks (ISO/IEC 29500-1, SpreadsheetML) that anybody may have made.

Only the parts that are needed are opened, each as a stream with a limit, so that no file takes more
memory than its texts; there are no document types, hence no entities. No library does so: those
that are kept up build the whole sheet, as large as the file says it is, before its first row.
"""
