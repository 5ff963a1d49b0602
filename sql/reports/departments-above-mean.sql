-- title: Departments above the mean
-- doc: >
--   Departments that hired more in a year than the mean of all departments that hired in that year
-- parameters:
--   year: {type: integer, default: 2021, doc: Year of the hires}
-- chart: {type: bar, x: department, y: hired}

WITH hires_by_department AS (
    SELECT department_id, sum(hires)::bigint AS hired
      FROM hires_by_quarter
     WHERE year = :year
     GROUP BY department_id
)
SELECT id, department, hired
  FROM hires_by_department
  JOIN departments ON departments.id = department_id
 WHERE hired > (SELECT avg(hired) FROM hires_by_department)
 ORDER BY hired DESC, id;
