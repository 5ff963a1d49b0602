-- title: Hires by quarter
-- doc: How many were hired in each quarter of a year, by department and job
-- parameters:
--   year: {type: integer, default: 2021, doc: Year of the hires}
-- chart: {type: heatmap, x: [q1, q2, q3, q4], y: [department, job]}

WITH hires_in_year AS (
    -- The aggregate has one row a quarter, department and job: its greatest is the one.
    SELECT department_id,
           job_id,
           max(hires) FILTER (WHERE quarter = 1) AS q1,
           max(hires) FILTER (WHERE quarter = 2) AS q2,
           max(hires) FILTER (WHERE quarter = 3) AS q3,
           max(hires) FILTER (WHERE quarter = 4) AS q4
      FROM hires_by_quarter
     WHERE year = :year
     GROUP BY department_id, job_id
),
-- Names are put in order once each, and not once a row of the answer.
ordered_departments AS (
    SELECT id, department, row_number() OVER (ORDER BY department COLLATE "C", id) AS place
      FROM departments
),
ordered_jobs AS (
    SELECT id, job, row_number() OVER (ORDER BY job COLLATE "C", id) AS place
      FROM jobs
)
SELECT department,
       job,
       coalesce(q1, 0) AS q1,
       coalesce(q2, 0) AS q2,
       coalesce(q3, 0) AS q3,
       coalesce(q4, 0) AS q4
  FROM hires_in_year
  JOIN ordered_departments AS d ON d.id = department_id
  JOIN ordered_jobs AS j ON j.id = job_id
 ORDER BY d.place, j.place;
